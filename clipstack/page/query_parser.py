"""What a browser asks, as JSON, in; a checked Query out."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clipstack.errors import ClipstackError
from clipstack.page.uploads import Uploads
from clipstack.search import Filters, Query, Term
from clipstack.web.error_responses import RequestError

MOST_HITS = 500
"""Hits of one answer."""
_MOST_TERMS = 32
_LONGEST_TEXT = 8192
_FURTHEST = 16_384


class GoneError(RequestError):
    """A query picture that is no longer kept; the page sends it again."""

    def __init__(self, name: str) -> None:
        super().__init__(410, "gone", f"the query picture {name} has to be sent again")


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """One search: in which collection ("" for the page's own), for what, and how many hits."""

    collection: str
    query: Query
    limit: int


def read(value: object, uploads: Uploads, *, urls: bool) -> ParsedQuery:
    """What the page's search asks for.

    Args:
        value: decoded JSON, by any author.
        uploads: where the query's pictures are.
        urls: whether a term may be an address that this machine then asks.

    Raises:
        RequestError: it is not as the page sends it.
        Gone: a picture has to be sent again.
        ClipstackError: a filter makes no sense.
    """
    fields = _Fields(value, "the search")
    terms = fields.list("terms", _MOST_TERMS)
    query = Query(
        terms=tuple(_term(_Fields(one, "a term"), uploads, urls) for one in terms),
        filters=_filters(_Fields(fields.take("filters", dict, {}), "the filters")),
        min_score=_min_score(fields),
        prompt=fields.text("prompt") or "none",
        offset=fields.number("offset", 0, _FURTHEST),
        sort=_one_of(fields, "sort", ("score", "date", "path")),  # type: ignore[arg-type]
        diverse=fields.take("diverse", bool, False),
        group_by=_one_of(fields, "group_by", ("", "folder", "day")),  # type: ignore[arg-type]
    )
    return ParsedQuery(fields.text("collection"), query, fields.number("limit", 1, MOST_HITS, 60))


def _term(fields: _Fields, uploads: Uploads, urls: bool) -> Term:
    weight = fields.take("weight", (int, float), 1.0)
    if not math.isfinite(weight) or not weight:
        raise _wrong("a weight must be a number other than 0")
    value = fields.text("value")
    if not value.strip():
        raise _wrong("a term is empty")
    kind = fields.text("kind")
    if kind == "picture":
        data = uploads.get(value)
        if data is None:
            raise GoneError(value[:40])
        return Term(data=data, weight=float(weight))
    if kind == "url" and not urls:
        raise RequestError(403, "url", "a page for others fetches no addresses; drop the picture")
    makes: dict[str, Callable[[], Term]] = {
        "text": lambda: Term(text=value, weight=float(weight)),
        "id": lambda: Term(id=value, weight=float(weight)),
        "url": lambda: Term(url=value, weight=float(weight)),
    }
    if kind not in makes:
        raise _wrong("a term is a text, id, url or picture")
    return makes[kind]()


def _filters(fields: _Fields) -> Filters:
    under = fields.text("under").strip()
    return Filters.of(
        under=_folder(under) if under else None,
        since=fields.text("since").strip(),
        until=fields.text("until").strip(),
        camera=fields.text("camera").strip(),
        format=fields.text("format").strip(),
        min_width=fields.number("min_width", 0, 10**9),
        min_height=fields.number("min_height", 0, 10**9),
        tags=tuple(one.strip() for one in fields.text("tags").split(",") if one.strip()),
        near=fields.text("near").strip(),
        expr=fields.text("expr").strip(),
    )


def _folder(given: str) -> str:
    """As `--under` reads it."""
    try:
        return os.path.normpath(Path(given).expanduser().absolute())
    except (RuntimeError, ValueError) as error:
        raise ClipstackError(f"{given!r} is no folder: {error}") from None


def _min_score(fields: _Fields) -> float | Literal["auto"] | None:
    given = fields.take("min_score", (int, float, str, type(None)), None)
    if given is None:
        return None
    if given == "auto":
        return "auto"
    if isinstance(given, str) or not math.isfinite(given):
        raise _wrong("min_score is a number, auto or null")
    return float(given)


def _one_of(fields: _Fields, name: str, allowed: tuple[str, ...]) -> str:
    given = fields.text(name) or allowed[0]
    if given not in allowed:
        raise _wrong(f"{name} is one of {', '.join(filter(None, allowed))}")
    return given


def _wrong(message: str) -> RequestError:
    return RequestError(400, "json", message)


class _Fields:
    """A JSON object's members, each checked for its type."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(f"{what} must be an object")
        self._value: Mapping[str, Any] = value

    def take(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        given = self._value.get(name, default)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds):
            raise _wrong(f"{name} has a wrong type")
        return given

    def text(self, name: str) -> str:
        given: str = self.take(name, str, "")
        if len(given) > _LONGEST_TEXT or "\0" in given:
            raise _wrong(f"{name} is too long")
        try:
            given.encode()
        except UnicodeEncodeError:
            raise _wrong(f"{name} holds half a character") from None
        return given

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        given: int = self.take(name, int, least if default is None else default)
        if not least <= given <= most:
            raise _wrong(f"{name} must be {least} to {most}")
        return given

    def list(self, name: str, most: int) -> list[Any]:
        given: list[Any] = self.take(name, list, [])
        if len(given) > most:
            raise _wrong(f"at most {most} {name}")
        return given
