"""Checks the JSON of a search, and makes a Query of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clipstack.page.uploads import Uploads
from clipstack.search.filters import FILTERS, Filter, Filters
from clipstack.search.query import Query, Term
from clipstack.web.error_responses import RequestError

MOST_HITS = 500
"""Hits of one answer."""
_MOST_TERMS = 32
_LONGEST_TEXT = 8192
_MOST_OFFSET = 16_384
_MOST_PIXELS = 10**9


class GoneError(RequestError):
    """A query picture is no longer kept; the page sends it again."""

    def __init__(self, name: str) -> None:
        super().__init__(410, "gone", f"the query picture {name} has to be sent again")


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """One search.

    Attributes:
        collection: to search in; "" is the page's own.
        limit: hits, at most.
    """

    collection: str
    query: Query
    limit: int


def read(value: object, uploads: Uploads, *, urls: bool) -> ParsedQuery:
    """The search that the page asks for.

    Args:
        value: decoded JSON, which anybody may have written.
        uploads: the query's pictures.
        urls: whether a term may be a URL, which this machine then fetches.

    Raises:
        RequestError: it has not the form that the page sends.
        GoneError: a picture has to be sent again.
        UsageError: a filter is wrong.
    """
    fields = _Fields(value, "the search")
    terms = fields.list("terms", _MOST_TERMS)
    query = Query(
        terms=tuple(_term(_Fields(term, "a term"), uploads, urls) for term in terms),
        filters=_filters(_Fields(fields.take("filters", dict, {}), "the filters")),
        min_score=_min_score(fields),
        prompt=fields.text("prompt") or "none",
        offset=fields.number("offset", 0, _MOST_OFFSET),
        sort=_one_of(fields, "sort", ("score", "date", "path")),  # type: ignore[arg-type]
        diverse=fields.take("diverse", bool, False),
        group_by=_one_of(fields, "group_by", ("", "folder", "day")),  # type: ignore[arg-type]
    )
    return ParsedQuery(fields.text("collection"), query, fields.number("limit", 1, MOST_HITS, 60))


def _term(fields: _Fields, uploads: Uploads, urls: bool) -> Term:
    weight = fields.take("weight", (int, float), 1.0)
    if not math.isfinite(weight) or not weight:
        raise _invalid("a weight must be a number other than 0")
    value = fields.text("value")
    if not value.strip():
        raise _invalid("a term is empty")
    kind = fields.text("kind")
    if kind == "picture":
        data = uploads.get(value)
        if data is None:
            raise GoneError(value[:40])
        return Term(data=data, weight=float(weight))
    if kind == "url" and not urls:
        raise RequestError(403, "url", "a page for others fetches no addresses; drop the picture")
    kinds: dict[str, Callable[[], Term]] = {
        "text": lambda: Term(text=value, weight=float(weight)),
        "id": lambda: Term(id=value, weight=float(weight)),
        "url": lambda: Term(url=value, weight=float(weight)),
    }
    if kind not in kinds:
        raise _invalid("a term is a text, id, url or picture")
    return kinds[kind]()


def _filters(fields: _Fields) -> Filters:
    return Filters.parse({filter.name: _typed(fields, filter) for filter in FILTERS})


def _typed(fields: _Fields, filter: Filter) -> int | str | list[str]:
    """What was typed for a filter; 0 or nothing if it is not set."""
    if filter.value_type is int:
        return fields.number(filter.name, 0, _MOST_PIXELS)
    text = fields.text(filter.name).strip()
    if filter.repeats:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _min_score(fields: _Fields) -> float | Literal["auto"] | None:
    score = fields.take("min_score", (int, float, str, type(None)), None)
    if score is None:
        return None
    if score == "auto":
        return "auto"
    if isinstance(score, str) or not math.isfinite(score):
        raise _invalid("min_score is a number, auto or null")
    return float(score)


def _one_of(fields: _Fields, name: str, allowed: tuple[str, ...]) -> str:
    value = fields.text(name) or allowed[0]
    if value not in allowed:
        raise _invalid(f"{name} is one of {', '.join(filter(None, allowed))}")
    return value


def _invalid(message: str) -> RequestError:
    return RequestError(400, "json", message)


class _Fields:
    """Members of a JSON object, with their types checked."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise _invalid(f"{what} must be an object")
        self._value: Mapping[str, Any] = value

    def take(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = self._value.get(name, default)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise _invalid(f"{name} has a wrong type")
        return value

    def text(self, name: str) -> str:
        text: str = self.take(name, str, "")
        if len(text) > _LONGEST_TEXT or "\0" in text:
            raise _invalid(f"{name} is too long")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _invalid(f"{name} holds half a character") from None
        return text

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        number: int = self.take(name, int, least if default is None else default)
        if not least <= number <= most:
            raise _invalid(f"{name} must be {least} to {most}")
        return number

    def list(self, name: str, most: int) -> list[Any]:
        values: list[Any] = self.take(name, list, [])
        if len(values) > most:
            raise _invalid(f"at most {most} {name}")
        return values
