"""Vectors of the same pictures by two engines in; how far both rank alike out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipstack.vectors import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HITS = 10
LEAST_OVERLAP = 0.95
LEAST_RECALL = 0.98
MOST_TIED = 0.5
_SAME_SCORE = 1e-6
"""Cosines nearer than this are equal: float32 can't tell them apart."""
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class RankingAgreement:
    """How far one engine's rankings are those of another; all shares are from 0 to 1.

    Attributes:
        overlap: share of the reference's ten best that are also among the engine's ten best.
        recall: share of queries whose best picture by the reference is among those ten.
        first: share of queries whose best picture is also the engine's best; reported only.
        tied: share of queries left out, because the reference gives its tenth picture and
            the next one the same score: it has no ten best.
        queries: how many were judged.
    """

    overlap: float
    recall: float
    first: float
    tied: float
    queries: int

    @property
    def accepted(self) -> bool:
        """Whether both bounds hold, and the reference could rank at least half of the queries."""
        return (
            self.overlap >= LEAST_OVERLAP
            and self.recall >= LEAST_RECALL
            and self.tied <= MOST_TIED
            and self.queries > 0
        )


def lowest_agreement(
    reference: NDArray[np.float32], vectors: NDArray[np.float32], hits: int = HITS
) -> RankingAgreement:
    """Each picture as a query against all others, by cosine, in the two ways a collection of
    these vectors is searched; of each figure the lower one counts.

    - the query is made by the same engine as the collection: a search by picture;
    - the query is made by the reference: a vector of a tower that was not quantised, as a text's.

    Args:
        reference, vectors: float [n, dimension], of the same n > `hits` pictures.
        hits: length of the rankings.
    """
    tested, expected = unit(vectors), unit(reference)
    agreements = [compare_rankings(expected, query, tested, hits) for query in (tested, expected)]
    return RankingAgreement(
        overlap=min(agreement.overlap for agreement in agreements),
        recall=min(agreement.recall for agreement in agreements),
        first=min(agreement.first for agreement in agreements),
        tied=agreements[0].tied,
        queries=agreements[0].queries,
    )


def compare_rankings(
    reference: NDArray[np.float32],
    queries: NDArray[np.float32],
    collection: NDArray[np.float32],
    hits: int,
) -> RankingAgreement:
    """Rankings of `queries` in `collection` against those of `reference` in itself.

    Pictures that the reference scores alike can stand for each other. All are unit vectors.
    """
    import numpy as np

    overlap, recall, first, tied = [], [], [], []
    for at in range(0, len(reference), _AT_ONCE):
        rows = slice(at, at + _AT_ONCE)
        expected, scores = reference[rows] @ reference.T, queries[rows] @ collection.T
        diagonal = np.arange(len(expected))
        itself = diagonal, diagonal + at  # the query is no hit of its own
        expected[itself] = scores[itself] = -np.inf
        best_scores = -np.sort(-expected, axis=1)[:, : hits + 1]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :hits]
        chosen = np.take_along_axis(expected, best, axis=1)
        overlap.append((chosen >= best_scores[:, hits - 1 : hits] - _SAME_SCORE).mean(axis=1))
        is_top = chosen >= best_scores[:, :1] - _SAME_SCORE
        recall.append(is_top.any(axis=1))
        first.append(is_top[:, 0])
        tied.append(best_scores[:, hits - 1] - best_scores[:, hits] <= _SAME_SCORE)
    judged = ~np.concatenate(tied)

    def mean(parts: list[Any]) -> float:
        return float(np.concatenate(parts)[judged].mean()) if judged.any() else 0.0

    return RankingAgreement(
        mean(overlap), mean(recall), mean(first), float(1 - judged.mean()), int(judged.sum())
    )
