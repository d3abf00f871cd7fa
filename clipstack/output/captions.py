"""A search's result in, a few words for each hit's picture out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.search import Query, SearchResult


def ranked(result: SearchResult) -> list[tuple[int, str, Hit]]:
    """Each hit with its rank, and its score in words."""
    return [
        (rank, _score(hit, result.collection.metric), hit)
        for rank, hit in enumerate(result.hits, result.query.offset + 1)
    ]


def _score(hit: Hit, metric: str) -> str:
    score = f"{hit.score:.2f}" if metric == "L2" else f"{hit.score:.4f}"
    return score if hit.stands_out is None else f"{score} ({hit.stands_out:+.1f})"


def title(query: Query) -> str:
    """What was looked for, in words."""
    said = ""
    for term in query.terms:
        what = term.image.name if term.image else term.name
        sign = ("- " if term.weight < 0 else "+ ") if said else ("not " if term.weight < 0 else "")
        times = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} x "
        said += (" " if said else "") + sign + times + what
    return said
