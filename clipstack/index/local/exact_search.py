"""Exact search: every vector compared with the queries, block by block."""

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
"""Of vectors compared at once; BLAS divides a block among the cores."""
_PIECE = 600_000
"""Multiplications of one product; OpenBLAS has a quicker routine for up to 1,000,000."""
_SPARSE = 8
"""Where less than one slot in this many may be found, their vectors are gathered."""
SPARE = 32
"""Candidates beyond those wanted: products in float32 may order near-equal rows otherwise."""


class Nearest:
    """The best of the scores offered so far, for one query.

    Args:
        wanted: how many are kept at least.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._least = -np.inf
        self._slots: list[Slots] = []
        self._scores: list[Floats] = []
        self._count = 0

    def offer(self, slots: Slots, scores: Floats) -> None:
        """Take those of a block's scores (higher is better) that are among the best so far."""
        good = np.flatnonzero(scores > self._least)
        if not len(good):
            return
        self._slots.append(slots[good])
        self._scores.append(scores[good])
        self._count += len(good)
        if self._count > 2 * self._wanted + 4096:
            self._shrink()

    def _shrink(self) -> None:
        slots, scores = np.concatenate(self._slots), np.concatenate(self._scores)
        if len(scores) > self._wanted:
            best = np.argpartition(-scores, self._wanted - 1)[: self._wanted]
            slots, scores = slots[best], scores[best]
            self._least = float(scores.min())
        self._slots, self._scores, self._count = [slots], [scores], len(scores)

    @property
    def slots(self) -> Slots:
        """The slots with the best scores, in no order."""
        self._settle()
        return self._slots[0]

    @property
    def scores(self) -> Floats:
        """Their scores."""
        self._settle()
        return self._scores[0]

    def _settle(self) -> None:
        if self._slots:
            self._shrink()
        else:
            self._slots, self._scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]


def candidates(
    stored: Matrix, queries: Matrix, metric: str, wanted: int, allowed: Slots | None
) -> list[Slots]:
    """The slots whose vectors are nearest to each query, and some more, in no order.

    Args:
        stored: float32 [slots, dimension + 2], as `VectorFile.slots` gives it.
        queries: float32 [queries, dimension].
        metric: COSINE, L2 or IP.
        wanted: for each query.
        allowed: the only slots to find, ascending; None for all.
    """
    comparison = _Comparison(stored, queries, metric, wanted + SPARE, allowed)
    workers = _workers() if comparison.count > comparison.block else 1
    edges = np.linspace(0, comparison.count, workers + 1).astype(int).tolist()
    if workers == 1:
        parts = [comparison.run(0, comparison.count)]
    else:
        with ThreadPoolExecutor(workers, "scan") as pool:
            parts = list(pool.map(comparison.run, edges[:-1], edges[1:]))
    return [_merged(nearest, wanted + SPARE) for nearest in zip(*parts, strict=True)]


def _workers() -> int:
    """Threads that compare; BLAS has its own unless it was told to have one."""
    alone = os.environ.get("OPENBLAS_NUM_THREADS") == "1"
    return (os.cpu_count() or 1) if alone else 1


def _merged(parts: tuple[Nearest, ...], wanted: int) -> Slots:
    whole = Nearest(wanted)
    for part in parts:
        whole.offer(part.slots, part.scores)
    return whole.slots


class _Comparison:
    """Queries compared with all slots, or with those that may be found.

    Few of many are gathered; else every slot is compared, and the others are left out then.
    """

    def __init__(
        self, stored: Matrix, queries: Matrix, metric: str, wanted: int, allowed: Slots | None
    ) -> None:
        self._stored = stored
        self._dimension = queries.shape[1]
        self._turned = np.ascontiguousarray(queries.T)
        self._metric = metric
        self._wanted = wanted
        self._gathered = self._mask = None
        if allowed is not None and len(allowed) * _SPARSE < len(stored):
            self._gathered = allowed
        elif allowed is not None:
            self._mask = np.zeros(len(stored), np.bool_)
            self._mask[allowed] = True
        self.count = len(stored) if self._gathered is None else len(self._gathered)
        self.block = max(1, _BLOCK_BYTES // (4 * stored.shape[1]))

    def run(self, start: int, end: int) -> list[Nearest]:
        """The nearest for each query among a part of what is compared."""
        best = [Nearest(self._wanted) for _ in range(self._turned.shape[1])]
        for first in range(start, end, self.block):
            slots, scores = self._compared(first, min(first + self.block, end))
            for number, nearest in enumerate(best):
                nearest.offer(slots, scores[:, number])
        return best

    def _compared(self, start: int, end: int) -> tuple[Slots, Floats]:
        if self._gathered is not None:
            slots = self._gathered[start:end]
            block = self._stored[slots]
        else:
            slots = np.arange(start, end)
            block = self._stored[start:end]
        vectors, norms = block[:, : self._dimension], block[:, self._dimension]
        scores = _scores(vectors, norms, self._turned, self._metric)
        if self._mask is None:
            return slots, scores
        kept = self._mask[start:end]
        return slots[kept], scores[kept]


def _products(vectors: Matrix, turned: Matrix) -> Floats:
    """`vectors @ turned`, in pieces so small that BLAS does not copy them first: with few queries
    the copy takes as long as the product."""
    dimension, queries = turned.shape
    rows = max(1, _PIECE // (dimension * queries))
    whole = len(vectors) // rows * rows
    products = np.empty((len(vectors), queries), np.float32)
    np.matmul(
        vectors[:whole].reshape(-1, rows, dimension),
        turned,
        out=products[:whole].reshape(-1, rows, queries),
    )
    np.matmul(vectors[whole:], turned, out=products[whole:])
    return products


def _scores(vectors: Matrix, norms: Floats, turned: Matrix, metric: str) -> Floats:
    """How near each vector is to each query, float32 [rows, queries]; only the order counts.

    Args:
        turned: the queries, float32 [dimension, queries].
    """
    with np.errstate(all="ignore"):  # damaged vectors are any numbers
        if turned.shape[1] == 1:  # a product with one vector is another, quicker routine of BLAS
            products: Floats = np.matmul(vectors, turned[:, 0])[:, None]
        else:
            products = _products(vectors, turned)
        if metric == "COSINE":
            products /= np.maximum(norms, np.finfo(np.float32).tiny)[:, None]
        elif metric == "L2":
            products *= 2
            products -= np.square(norms)[:, None]
    return products


def scores(vectors: Matrix, query: Vector, metric: str) -> npt.NDArray[np.float64]:
    """The metric's value of each vector, float32 [rows, dimension], for a query; as Milvus has it:
    L2 is the squared distance, and the cosine of a vector of zeros is 0."""
    with np.errstate(all="ignore"):
        return _values(vectors, query, metric)


def _values(vectors: Matrix, query: Vector, metric: str) -> npt.NDArray[np.float64]:
    wide, asked = vectors.astype(np.float64), query.astype(np.float64)
    values: npt.NDArray[np.float64]
    if metric == "L2":
        apart = wide - asked
        values = np.einsum("ij,ij->i", apart, apart)
    else:
        values = wide @ asked
    if metric == "COSINE":
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide)) * np.sqrt(asked @ asked)
        values /= np.maximum(lengths, np.finfo(np.float64).tiny)
    return values
