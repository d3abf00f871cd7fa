"""Brute-force scan: every vector compared with the queries, block by block."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from clipstack.index.schema import Matrix, Vector

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

_BLOCK_BYTES = 8 << 20
"""Of vectors compared at once; BLAS splits a block between the cores."""
_PRODUCT_SIZE = 600_000
"""Multiplications of one matrix product; OpenBLAS has a faster routine for up to 1,000,000."""
_SPARSE_RATIO = 8
"""If less than one slot in this many is allowed, only allowed ones are copied and compared."""
SPARE_CANDIDATES = 32
"""Candidates beyond the limit: float32 products may misorder rows with nearly equal scores."""


class TopK:
    """The slots with the best scores so far, for one query.

    Args:
        limit: how many are kept at least.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._threshold = -np.inf
        self._slots: list[Slots] = []
        self._scores: list[Floats] = []
        self._count = 0

    def add(self, slots: Slots, scores: Floats) -> None:
        """Add the scores of a block (higher is better) that are among the best so far."""
        better = np.flatnonzero(scores > self._threshold)
        if not len(better):
            return
        self._slots.append(slots[better])
        self._scores.append(scores[better])
        self._count += len(better)
        if self._count > 2 * self._limit + 4096:
            self._prune()

    def _prune(self) -> None:
        slots, scores = np.concatenate(self._slots), np.concatenate(self._scores)
        if len(scores) > self._limit:
            best = np.argpartition(-scores, self._limit - 1)[: self._limit]
            slots, scores = slots[best], scores[best]
            self._threshold = float(scores.min())
        self._slots, self._scores, self._count = [slots], [scores], len(scores)

    @property
    def slots(self) -> Slots:
        """The slots with the best scores, unordered."""
        self._finalize()
        return self._slots[0]

    @property
    def scores(self) -> Floats:
        """Their scores."""
        self._finalize()
        return self._scores[0]

    def _finalize(self) -> None:
        if self._slots:
            self._prune()
        else:
            self._slots, self._scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]


def candidates(
    slots: Matrix, queries: Matrix, metric: str, limit: int, allowed: Slots | None
) -> list[Slots]:
    """The slots whose vectors are nearest to each query, and some more, unordered.

    Args:
        slots: float32 [slots, dimension + 2], from `VectorFile.slots`.
        queries: float32 [queries, dimension].
        metric: COSINE, L2 or IP.
        limit: slots per query.
        allowed: numbers of the slots to consider, ascending; None for all.

    Returns:
        For each query, int64 [limit + SPARE_CANDIDATES] or fewer.
    """
    scan = _Scan(slots, queries, metric, limit + SPARE_CANDIDATES, allowed)
    workers = _workers() if scan.count > scan.block else 1
    edges = np.linspace(0, scan.count, workers + 1).astype(int).tolist()
    if workers == 1:
        partials = [scan.top_k(0, scan.count)]
    else:
        with ThreadPoolExecutor(workers, "scan") as pool:
            partials = list(pool.map(scan.top_k, edges[:-1], edges[1:]))
    return [
        _merge(query_partials, limit + SPARE_CANDIDATES)
        for query_partials in zip(*partials, strict=True)
    ]


def _workers() -> int:
    """Number of scanning threads: one, unless BLAS is limited to one thread."""
    is_single_threaded = os.environ.get("OPENBLAS_NUM_THREADS") == "1"
    return (os.cpu_count() or 1) if is_single_threaded else 1


def _merge(partials: tuple[TopK, ...], limit: int) -> Slots:
    merged = TopK(limit)
    for partial in partials:
        merged.add(partial.slots, partial.scores)
    return merged.slots


class _Scan:
    """Compares queries with slots.

    If few slots are allowed, only those are copied and compared; otherwise every slot is compared,
    and scores of the others are dropped.
    """

    def __init__(
        self, slots: Matrix, queries: Matrix, metric: str, limit: int, allowed: Slots | None
    ) -> None:
        self._slots_matrix = slots
        self._dimension = queries.shape[1]
        self._transposed = np.ascontiguousarray(queries.T)
        self._metric = metric
        self._limit = limit
        self._subset = self._mask = None
        if allowed is not None and len(allowed) * _SPARSE_RATIO < len(slots):
            self._subset = allowed
        elif allowed is not None:
            self._mask = np.zeros(len(slots), np.bool_)
            self._mask[allowed] = True
        self.count = len(slots) if self._subset is None else len(self._subset)
        self.block = max(1, _BLOCK_BYTES // (4 * slots.shape[1]))

    def top_k(self, start: int, end: int) -> list[TopK]:
        """The best slots for each query among those from `start` to before `end`."""
        results = [TopK(self._limit) for _ in range(self._transposed.shape[1])]
        for first in range(start, end, self.block):
            slots, scores = self._score_block(first, min(first + self.block, end))
            for query_number, result in enumerate(results):
                result.add(slots, scores[:, query_number])
        return results

    def _score_block(self, start: int, end: int) -> tuple[Slots, Floats]:
        if self._subset is not None:
            slots = self._subset[start:end]
            block = self._slots_matrix[slots]
        else:
            slots = np.arange(start, end)
            block = self._slots_matrix[start:end]
        vectors, norms = block[:, : self._dimension], block[:, self._dimension]
        scores = _ranking_scores(vectors, norms, self._transposed, self._metric)
        if self._mask is None:
            return slots, scores
        allowed = self._mask[start:end]
        return slots[allowed], scores[allowed]


def _multiply(vectors: Matrix, transposed: Matrix) -> Floats:
    """`vectors @ transposed`, in pieces so small that BLAS does not copy them first: with few
    queries, the copy takes as long as the product."""
    dimension, queries = transposed.shape
    rows = max(1, _PRODUCT_SIZE // (dimension * queries))
    full = len(vectors) // rows * rows
    products = np.empty((len(vectors), queries), np.float32)
    np.matmul(
        vectors[:full].reshape(-1, rows, dimension),
        transposed,
        out=products[:full].reshape(-1, rows, queries),
    )
    np.matmul(vectors[full:], transposed, out=products[full:])
    return products


def _ranking_scores(vectors: Matrix, norms: Floats, transposed: Matrix, metric: str) -> Floats:
    """Scores for ranking vectors, float32 [rows, queries]: higher is nearer, only the order counts.

    Args:
        transposed: queries, float32 [dimension, queries].
    """
    with np.errstate(all="ignore"):  # damaged vectors may hold any numbers
        if transposed.shape[1] == 1:  # BLAS has a faster routine for a product with one vector
            products: Floats = np.matmul(vectors, transposed[:, 0])[:, None]
        else:
            products = _multiply(vectors, transposed)
        if metric == "COSINE":
            products /= np.maximum(norms, np.finfo(np.float32).tiny)[:, None]
        elif metric == "L2":
            products *= 2
            products -= np.square(norms)[:, None]
    return products


def scores(vectors: Matrix, query: Vector, metric: str) -> npt.NDArray[np.float64]:
    """The metric's value for each vector, float32 [rows, dimension], and a query, as in Milvus: L2
    is the squared distance, and the cosine of a zero vector is 0.

    Returns:
        float64 [rows].
    """
    with np.errstate(all="ignore"):
        return _metric_values(vectors, query, metric)


def _metric_values(vectors: Matrix, query: Vector, metric: str) -> npt.NDArray[np.float64]:
    rows64, query64 = vectors.astype(np.float64), query.astype(np.float64)
    values: npt.NDArray[np.float64]
    if metric == "L2":
        differences = rows64 - query64
        values = np.einsum("ij,ij->i", differences, differences)
    else:
        values = rows64 @ query64
    if metric == "COSINE":
        lengths = np.sqrt(np.einsum("ij,ij->i", rows64, rows64)) * np.sqrt(query64 @ query64)
        values /= np.maximum(lengths, np.finfo(np.float64).tiny)
    return values
