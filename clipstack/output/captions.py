"""Captions of hits and titles of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipstack.output.scores import format_score

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.search.query import Query
    from clipstack.search.searcher import SearchResult


def ranked(result: SearchResult) -> list[tuple[int, str, Hit]]:
    """Each hit with its rank and its score as text."""
    return [
        (rank, _score(hit, result.collection.metric), hit)
        for rank, hit in enumerate(result.hits, result.query.offset + 1)
    ]


def _score(hit: Hit, metric: str) -> str:
    score = format_score(hit.score, metric)
    return score if hit.significance is None else f"{score} ({hit.significance:+.1f})"


def title(query: Query) -> str:
    """A query as a heading."""
    text = ""
    for term in query.terms:
        name = term.image.name if term.image else term.name
        sign = ("- " if term.weight < 0 else "+ ") if text else ("not " if term.weight < 0 else "")
        times = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} x "
        text += (" " if text else "") + sign + times + name
    return text
