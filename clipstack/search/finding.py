"""Queries and their vectors in, hits out: from whatever can find rows by a vector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clipstack.errors import ImageError, NotFoundError
from clipstack.index.store import MAX_LIMIT, literal
from clipstack.search import ranking
from clipstack.search.combining import combined
from clipstack.search.query import Query
from clipstack.search.ranking import Group
from clipstack.search.standing import marked

if TYPE_CHECKING:
    from clipstack.index.schema import CollectionInfo, Matrix, Vector
    from clipstack.index.store import Hit
    from clipstack.search.cutoff import Cutoff
    from clipstack.search.terms import Encoded


# Candidates for a varied choice, for groups and for a filter that Milvus can't apply: times the
# hits wanted, and at least.
_DIVERSE = (5, 100)
_GROUPED = (10, 1000)
_SOME_KEPT = (3, 50)


class Finder(Protocol):
    """The rows of one collection, as a search needs them; `index.store.Store` is one."""

    info: CollectionInfo

    def search_all(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        expression: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector of each of `ids` that is stored."""
        ...

    def count(self, expression: str = "") -> int:
        """Rows that a Milvus filter lets through."""
        ...

    def sample(self, count: int, *, rows: int = 0, expression: str = "") -> Matrix:
        """The vectors of that many rows, chosen at random, the same every time."""
        ...

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of one query, best first, and by a hit's id the group it stands for, if any."""

    hits: list[Hit]
    groups: dict[str, Group] = field(default_factory=dict)


def vector_of(query: Query, encoded: Sequence[Encoded], finder: Finder) -> Vector:
    """The one vector to search with.

    Args:
        encoded: of each term, as `terms.encode` gives them.

    Raises:
        ImageError: a term's picture could not be decoded.
        NotFoundError: a term's row is not in the collection.
        UsageError: the terms cancel each other out.
    """
    ids = [term.id for term in query.terms if term.id]
    stored = finder.vectors(ids) if ids else {}
    vectors: list[Vector] = []
    for term, one in zip(query.terms, encoded, strict=True):
        if isinstance(one, ImageError):
            raise one
        if term.id and term.id not in stored:
            what = "such picture" if term.said else "picture with that id"
            raise NotFoundError(
                f"{term.name}: collection {finder.info.name!r} has no {what}",
                hint="`clipstack search --json` shows ids. For a file that is not imported, "
                "use --image FILE.",
            )
        vectors.append(stored[term.id] if one is None else one)
    return combined(query.terms, vectors, finder.sample)


def find(
    finder: Finder,
    query: Query,
    vector: Vector,
    limit: int,
    params: Mapping[str, Any],
    cutoff: Cutoff | None = None,
) -> Found:
    """The hits of one query; see `find_all`."""
    return find_all(finder, [query], [vector], limit, params, [cutoff])[0]


def find_all(
    finder: Finder,
    queries: Sequence[Query],
    vectors: Sequence[Vector],
    limit: int,
    params: Mapping[str, Any],
    cutoffs: Sequence[Cutoff | None],
) -> list[Found]:
    """The hits of each query, at most `limit`; those that can share one search of Milvus do.

    Args:
        vectors: float32 [dimension], one for each query.
        params: of the index, such as ef.
        cutoffs: for each query what tells how far its hits stand out, or None.
    """
    import numpy as np

    alike: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for n, query in enumerate(queries):
        alike[*_window(query, limit, cutoffs[n]), expression_of(query)].append(n)
    found: dict[int, Found] = {}
    for (wanted, offset, expression), some in alike.items():
        while some:
            answers = finder.search_all(
                np.stack([vectors[n] for n in some]),
                limit=wanted,
                offset=offset,
                expression=expression,
                params=params,
            )
            short = []
            for n, hits in zip(some, answers, strict=True):
                cutoff = cutoffs[n]
                told = marked(cutoff, vectors[n], hits) if cutoff else hits
                found[n], all_seen = _chosen(finder, queries[n], told, limit, cutoff)
                if not all_seen and len(hits) == wanted < MAX_LIMIT:
                    short.append(n)
            some, wanted = short, min(MAX_LIMIT, 4 * wanted)
    return [found[n] for n in range(len(queries))]


def _chooses(query: Query) -> bool:
    """Whether hits are chosen here from more candidates than are shown."""
    return bool(query.diverse or query.group_by or query.filters.near)


def _window(query: Query, limit: int, cutoff: Cutoff | None) -> tuple[int, int]:
    """How many candidates to ask for, and how many to leave out before them."""
    end = query.offset + limit
    if not _chooses(query):
        return (min(MAX_LIMIT, max(end, cutoff.best)), 0) if cutoff else (limit, query.offset)
    times, least = _DIVERSE if query.diverse else _GROUPED if query.group_by else _SOME_KEPT
    best = cutoff.best if cutoff else 0
    return min(MAX_LIMIT, max(least, best, times * end)), 0


def expression_of(query: Query) -> str:
    """The query's filter, without the rows it names itself."""
    wanted = query.filters.expression()
    own = sorted({term.id for term in query.terms if term.id})
    if not own:
        return wanted
    others = f"id not in [{', '.join(map(literal, own))}]"
    return f"({wanted}) and {others}" if wanted else others


def _chosen(
    finder: Finder, query: Query, hits: list[Hit], limit: int, cutoff: Cutoff | None
) -> tuple[Found, bool]:
    """What is shown of the candidates, and whether more of them would change nothing."""
    lower = finder.info.metric == "L2"
    good = [hit for hit in hits if _is_good(hit, query, lower)]
    kept = [hit for hit in good if query.filters.keeps(hit)]
    groups: dict[str, Group] = {}
    if cutoff or _chooses(query):
        end = query.offset + limit
        if query.group_by:
            kept, groups = ranking.grouped(kept, query.group_by)
        if query.diverse:
            vectors = finder.vectors([hit.id for hit in kept])
            kept = ranking.diverse(kept, vectors, end, lower_is_better=lower)
        all_seen = not _chooses(query) or len(kept) >= end or len(good) < len(hits)
        kept = kept[query.offset : end]
    else:
        all_seen = True
    return Found(ranking.ordered(kept, query.sort), groups), all_seen


def _is_good(hit: Hit, query: Query, lower_is_better: bool) -> bool:
    if query.min_score == "auto":
        return hit.stands_out is None or hit.stands_out > 0
    if query.min_score is None:
        return True
    return hit.score <= query.min_score if lower_is_better else hit.score >= query.min_score
