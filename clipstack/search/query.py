"""Queries and their terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from clipstack.errors import UsageError
from clipstack.index.base import MAX_LIMIT
from clipstack.search.filters import Filters

Sort = Literal["score", "date", "path"]
GroupBy = Literal["", "folder", "day"]
SORTS: tuple[Sort, ...] = ("score", "date", "path")
GROUPS: tuple[GroupBy, ...] = ("folder", "day")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for: exactly one of text, image, url, id and data.

    Attributes:
        text: words.
        image: a picture's file.
        weight: of its vector in the sum; negative for what hits should not be like.
        url: of a picture, http or https. This process fetches it, so it must come from the person
            who runs it.
        id: of a row in the collection, for its stored vector. The row is left out of the hits.
        data: a picture's bytes.
        typed: what a person typed for the id, for errors.
    """

    text: str = ""
    image: Path | None = None
    weight: float = 1.0
    url: str = ""
    id: str = ""
    data: bytes | None = None
    typed: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is words. Otherwise it is a picture."""
        return bool(self.text.strip())

    @property
    def name(self) -> str:
        """Its name in errors."""
        if self.data is not None:
            return "the picture"
        if self.id:
            return self.typed or self.id
        return str(self.image or without_secret(self.url) or self.text)


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    Attributes:
        terms: their vectors are added up by their weights.
        filters: conditions that hits meet.
        min_score: leave out hits with worse scores, by the collection's metric; "auto" leaves out
            hits that do not stand out of the collection.
        prompt: the words around each text: none, photo, ensemble, or a template with {}.
        offset: how many of the best hits to leave out: the pages before this one.
        sort: the order of the hits.
        diverse: choose hits that also differ from each other. Each page is chosen anew, from more
            candidates, so a hit may be on two pages.
        group_by: only the best hit of each folder or day.
        with_significance: calculate how far each hit stands out, even if `min_score` is not "auto".
    """

    terms: tuple[Term, ...]
    filters: Filters = Filters()
    min_score: float | Literal["auto"] | None = None
    prompt: str = "none"
    offset: int = 0
    sort: Sort = "score"
    diverse: bool = False
    group_by: GroupBy = ""
    with_significance: bool = False

    @property
    def needs_cutoff(self) -> bool:
        """Whether hits are compared with what other queries score in the collection."""
        return self.with_significance or self.min_score == "auto"

    def check(self) -> None:
        """Check the terms and options.

        Raises:
            UsageError: there is nothing to look for, or an option is wrong.
        """
        from clipstack.search import prompts

        for term in self.terms or (Term(),):
            parts = [term.is_text, term.image, term.url, term.id, term.data is not None]
            if not any(parts):
                raise UsageError(
                    "nothing to search for", hint='Try `clipstack search "dog"` or --image FILE.'
                )
            if sum(map(bool, parts)) > 1:
                raise UsageError("a term is a text or one picture, not both")
            if not math.isfinite(term.weight) or term.weight == 0:
                raise UsageError(f"{term.name}: the weight {term.weight:g} means nothing")
        prompts.templates(self.prompt)
        if self.sort not in SORTS:
            raise UsageError(f"--sort {self.sort}: it is one of {', '.join(SORTS)}")
        if self.group_by not in ("", *GROUPS):
            raise UsageError(f"--group-by {self.group_by}: it is one of {', '.join(GROUPS)}")
        if self.diverse and self.group_by:
            raise UsageError("--diverse and --group-by exclude each other")


def without_secret(url: str) -> str:
    """`url` without user, password and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def check_limit(limit: int, offset: int = 0) -> None:
    """Check that a search can return so many hits, so far down.

    Raises:
        UsageError: it can't.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"-k {limit}: a search returns 1 to {MAX_LIMIT} hits", hint="Try -k 10.")
    if offset < 0:
        raise UsageError(f"--offset {offset}: it is 0 or more")
    if offset + limit > MAX_LIMIT:
        raise UsageError(
            f"--offset {offset} and -k {limit}: a search reaches the best {MAX_LIMIT} hits",
            hint="Narrow it down: by --under, or by more words.",
        )
