"""What to look for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import UsageError
from clipstack.index.store import MAX_LIMIT
from clipstack.search.filters import Filters


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for: a text, or the picture at `image`.

    Attributes:
        weight: how much it counts; below 0 it is what hits should not be like.
    """

    text: str = ""
    image: Path | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    Attributes:
        terms: their vectors are added up by their weights.
        filters: what hits must be besides.
        min_score: leave out what is worse, by the collection's metric.
    """

    terms: tuple[Term, ...]
    filters: Filters = Filters()
    min_score: float | None = None

    def check(self) -> None:
        """Raises UsageError when there is nothing, or too much, to look for."""
        for term in self.terms:
            if term.image is None and not term.text.strip():
                raise UsageError(
                    "nothing to search for", hint='Try `clipstack search "dog"` or --image FILE.'
                )
            if term.image is not None and term.text.strip():
                raise UsageError("search for a text or for --image, not both")


def check_limit(limit: int) -> None:
    """Raises UsageError when Milvus can't return that many hits at once."""
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"-k {limit}: a search returns 1 to {MAX_LIMIT} hits", hint="Try -k 10.")
