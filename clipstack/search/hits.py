"""The hits of queries whose vectors are known: searched, chosen and ordered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipstack.errors import ImageError, NotFoundError
from clipstack.index.base import MAX_LIMIT, Collection
from clipstack.index.schema import higher_is_better
from clipstack.search import ranking
from clipstack.search.query import Query
from clipstack.search.query_vector import combined
from clipstack.search.ranking import Group
from clipstack.search.significance import with_significance

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Vector
    from clipstack.search.cutoff import Cutoff
    from clipstack.search.term_vectors import Encoded


# Candidates to choose from, as a multiple of the hits that are shown, and at least: for diverse
# hits, for groups, and for filters that the index evaluates approximately.
_DIVERSE = (5, 100)
_GROUPED = (10, 1000)
_APPROXIMATE = (3, 50)


@dataclass(frozen=True, slots=True)
class RankedHits:
    """The hits of one query.

    Attributes:
        hits: best first.
        groups: by a hit's id, the group that it represents.
    """

    hits: list[Hit]
    groups: dict[str, Group] = field(default_factory=dict)


def vector_of(query: Query, encoded: Sequence[Encoded], collection: Collection) -> Vector:
    """The one vector to search with.

    Args:
        encoded: for each term, what `term_vectors.encode` gives.

    Returns:
        float32 [dimension].

    Raises:
        ImageError: a term's picture could not be decoded.
        NotFoundError: a term's row is not in the collection.
        UsageError: the terms cancel each other out.
    """
    ids = [term.id for term in query.terms if term.id]
    stored = collection.vectors(ids) if ids else {}
    vectors: list[Vector] = []
    for term, vector in zip(query.terms, encoded, strict=True):
        if isinstance(vector, ImageError):
            raise vector
        if term.id and term.id not in stored:
            missing = "such picture" if term.typed else "picture with that id"
            raise NotFoundError(
                f"{term.name}: collection {collection.info.name!r} has no {missing}",
                hint="`clipstack search --json` shows ids. For a file that is not imported, "
                "use --image FILE.",
            )
        vectors.append(stored[term.id] if vector is None else vector)
    return combined(query.terms, vectors, collection.sample)


def find_all(
    collection: Collection,
    queries: Sequence[Query],
    vectors: Sequence[Vector],
    limit: int,
    params: Mapping[str, Any],
    cutoffs: Sequence[Cutoff | None],
) -> list[RankedHits]:
    """The hits of each query, at most `limit`; queries that are alike share a search of the index.

    Args:
        vectors: float32 [dimension], one for each query.
        params: of the index, such as ef.
        cutoffs: for each query, what its hits are compared with, or None.
    """
    import numpy as np

    batches: dict[tuple[int, int, Expression | None], list[int]] = defaultdict(list)
    for n, query in enumerate(queries):
        batches[*_window(query, limit, cutoffs[n]), query.filters.expression()].append(n)
    ranked: dict[int, RankedHits] = {}
    for (count, offset, filter), batch in batches.items():
        while batch:
            answers = collection.search(
                np.stack([vectors[n] for n in batch]),
                limit=count,
                offset=offset,
                filter=filter,
                params=params,
            )
            incomplete = []
            for n, answer in zip(batch, answers, strict=True):
                cutoff = cutoffs[n]
                hits = _without_own_rows(queries[n], answer)
                if cutoff:
                    hits = with_significance(cutoff, vectors[n], hits)
                ranked[n], is_complete = _choose(collection, queries[n], hits, limit, cutoff)
                if not is_complete and len(answer) == count < MAX_LIMIT:
                    incomplete.append(n)
            batch, count = incomplete, min(MAX_LIMIT, 4 * count)
    return [ranked[n] for n in range(len(queries))]


def _chooses(query: Query) -> bool:
    """Whether hits are chosen from more candidates than are shown."""
    return bool(query.diverse or query.group_by or query.filters.is_approximate)


def _applies_offset(query: Query, cutoff: Cutoff | None) -> bool:
    """Whether the index gives hits from the first on, and the offset is applied to these."""
    return bool(cutoff or _chooses(query) or _own_rows(query))


def _window(query: Query, limit: int, cutoff: Cutoff | None) -> tuple[int, int]:
    """The limit and the offset to search the index with."""
    end = query.offset + limit
    if not _applies_offset(query, cutoff):
        return limit, query.offset
    count = max(end, cutoff.best if cutoff else 0)
    if _chooses(query):
        times, least = _DIVERSE if query.diverse else _GROUPED if query.group_by else _APPROXIMATE
        count = max(count, least, times * end)
    return min(MAX_LIMIT, count + len(_own_rows(query))), 0


def _own_rows(query: Query) -> set[str]:
    """The rows that a query names. They are no hits of it, and leaving them out here is faster
    than a filter that looks at every row."""
    return {term.id for term in query.terms if term.id}


def _without_own_rows(query: Query, hits: list[Hit]) -> list[Hit]:
    own = _own_rows(query)
    return [hit for hit in hits if hit.id not in own] if own else hits


def _choose(
    collection: Collection, query: Query, candidates: list[Hit], limit: int, cutoff: Cutoff | None
) -> tuple[RankedHits, bool]:
    """The hits to show, and whether they are final: more candidates would not change them."""
    metric = collection.info.metric
    passing = [hit for hit in candidates if _passes_min_score(hit, query, metric)]
    hits = [hit for hit in passing if query.filters.matches(hit)]
    groups: dict[str, Group] = {}
    is_final = True
    if _applies_offset(query, cutoff):
        end = query.offset + limit
        if query.group_by:
            hits, groups = ranking.grouped(hits, query.group_by)
        if query.diverse:
            vectors = collection.vectors([hit.id for hit in hits])
            hits = ranking.diverse(hits, vectors, end, metric)
        is_final = not _chooses(query) or len(hits) >= end or len(passing) < len(candidates)
        hits = hits[query.offset : end]
    return RankedHits(ranking.ordered(hits, query.sort), groups), is_final


def _passes_min_score(hit: Hit, query: Query, metric: str) -> bool:
    if query.min_score == "auto":
        return hit.significance is None or hit.significance > 0
    if query.min_score is None:
        return True
    if higher_is_better(metric):
        return hit.score >= query.min_score
    return hit.score <= query.min_score
