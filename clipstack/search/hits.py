"""The hits of queries whose vectors are known: found, chosen and ordered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipstack.errors import ImageError, NotFoundError
from clipstack.index.base import MAX_LIMIT, Collection
from clipstack.search import ranking
from clipstack.search.query import Query
from clipstack.search.query_vector import combined
from clipstack.search.ranking import Group
from clipstack.search.significance import marked

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Vector
    from clipstack.search.cutoff import Cutoff
    from clipstack.search.term_vectors import Encoded


# Candidates for a varied choice, for groups and for a filter that no index can apply: times the
# hits wanted, and at least.
_DIVERSE = (5, 100)
_GROUPED = (10, 1000)
_SOME_KEPT = (3, 50)


@dataclass(frozen=True, slots=True)
class Matches:
    """The hits of one query, best first, and by a hit's id the group it stands for, if any."""

    hits: list[Hit]
    groups: dict[str, Group] = field(default_factory=dict)


def vector_of(query: Query, encoded: Sequence[Encoded], collection: Collection) -> Vector:
    """The one vector to search with.

    Args:
        encoded: of each term, as `terms.encode` gives them.

    Raises:
        ImageError: a term's picture could not be decoded.
        NotFoundError: a term's row is not in the collection.
        UsageError: the terms cancel each other out.
    """
    ids = [term.id for term in query.terms if term.id]
    stored = collection.vectors(ids) if ids else {}
    vectors: list[Vector] = []
    for term, one in zip(query.terms, encoded, strict=True):
        if isinstance(one, ImageError):
            raise one
        if term.id and term.id not in stored:
            what = "such picture" if term.said else "picture with that id"
            raise NotFoundError(
                f"{term.name}: collection {collection.info.name!r} has no {what}",
                hint="`clipstack search --json` shows ids. For a file that is not imported, "
                "use --image FILE.",
            )
        vectors.append(stored[term.id] if one is None else one)
    return combined(query.terms, vectors, collection.sample)


def find_all(
    collection: Collection,
    queries: Sequence[Query],
    vectors: Sequence[Vector],
    limit: int,
    params: Mapping[str, Any],
    cutoffs: Sequence[Cutoff | None],
) -> list[Matches]:
    """The hits of each query, at most `limit`; those that can share one search of the index do.

    Args:
        vectors: float32 [dimension], one for each query.
        params: of the index, such as ef.
        cutoffs: for each query what tells how far its hits stand out, or None.
    """
    import numpy as np

    alike: dict[tuple[int, int, Expression | None], list[int]] = defaultdict(list)
    for n, query in enumerate(queries):
        alike[*_window(query, limit, cutoffs[n]), query.filters.expression()].append(n)
    found: dict[int, Matches] = {}
    for (wanted, offset, filter), some in alike.items():
        while some:
            answers = collection.search(
                np.stack([vectors[n] for n in some]),
                limit=wanted,
                offset=offset,
                filter=filter,
                params=params,
            )
            short = []
            for n, answer in zip(some, answers, strict=True):
                cutoff = cutoffs[n]
                hits = _without_own(queries[n], answer)
                told = marked(cutoff, vectors[n], hits) if cutoff else hits
                found[n], all_seen = _chosen(collection, queries[n], told, limit, cutoff)
                if not all_seen and len(answer) == wanted < MAX_LIMIT:
                    short.append(n)
            some, wanted = short, min(MAX_LIMIT, 4 * wanted)
    return [found[n] for n in range(len(queries))]


def _chooses(query: Query) -> bool:
    """Whether hits are chosen here from more candidates than are shown."""
    return bool(query.diverse or query.group_by or query.filters.near)


def _is_cut_here(query: Query, cutoff: Cutoff | None) -> bool:
    """Whether the first hits are asked for, and what the offset leaves out is left out here."""
    return bool(cutoff or _chooses(query) or _own(query))


def _window(query: Query, limit: int, cutoff: Cutoff | None) -> tuple[int, int]:
    """How many candidates to ask for, and how many to leave out before them."""
    end = query.offset + limit
    if not _is_cut_here(query, cutoff):
        return limit, query.offset
    wanted = max(end, cutoff.best if cutoff else 0)
    if _chooses(query):
        times, least = _DIVERSE if query.diverse else _GROUPED if query.group_by else _SOME_KEPT
        wanted = max(wanted, least, times * end)
    return min(MAX_LIMIT, wanted + len(_own(query))), 0


def _own(query: Query) -> set[str]:
    """The rows that a query names itself. They are no hits of it, and leaving them out here is
    quicker than a filter that looks at every row."""
    return {term.id for term in query.terms if term.id}


def _without_own(query: Query, hits: list[Hit]) -> list[Hit]:
    own = _own(query)
    return [hit for hit in hits if hit.id not in own] if own else hits


def _chosen(
    collection: Collection, query: Query, hits: list[Hit], limit: int, cutoff: Cutoff | None
) -> tuple[Matches, bool]:
    """What is shown of the candidates, and whether more of them would change nothing."""
    lower = collection.info.metric == "L2"
    good = [hit for hit in hits if _is_good(hit, query, lower)]
    kept = [hit for hit in good if query.filters.keeps(hit)]
    groups: dict[str, Group] = {}
    if _is_cut_here(query, cutoff):
        end = query.offset + limit
        if query.group_by:
            kept, groups = ranking.grouped(kept, query.group_by)
        if query.diverse:
            vectors = collection.vectors([hit.id for hit in kept])
            kept = ranking.diverse(kept, vectors, end, lower_is_better=lower)
        all_seen = not _chooses(query) or len(kept) >= end or len(good) < len(hits)
        kept = kept[query.offset : end]
    else:
        all_seen = True
    return Matches(ranking.ordered(kept, query.sort), groups), all_seen


def _is_good(hit: Hit, query: Query, lower_is_better: bool) -> bool:
    if query.min_score == "auto":
        return hit.stands_out is None or hit.stands_out > 0
    if query.min_score is None:
        return True
    return hit.score <= query.min_score if lower_is_better else hit.score >= query.min_score
