"""How far the score of a hit stands out of what other queries score in the collection.

docs/adr/0010-cut-off.md has the method, its sources and measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clipstack.vectors import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

SAMPLE = 2000
"""Vectors of the collection that represent all of it."""
BEST = 100
"""Best scores of a query that its level is calculated from."""
BOUND = -1.15
"""The boundary where the background's errors do not give one: see `boundary`."""
_TEMPERATURE = 1 / 4.5
"""Of the soft maximum, as a share of the standard deviation of one query's scores."""
_MIN_ROWS = 20
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_MIN_DISTANCE, _MIN_SHARE = 1.9, 0.1
"""Errors form two groups if their means are at least this many widths apart and each group has at
least this share of them."""


class Cutoff:
    """The level that background queries reach in one collection, which hits are compared with.

    Args:
        sample: float32 [m, dimension], vectors of the collection chosen at random.
        rows: vectors in the collection, or those that a filter lets through.
        background: float32 [n, dimension], queries for other things, made in the same way: see
            `background_queries`.
        metric: COSINE, IP or L2.

    Raises:
        ValueError: there are fewer than `_MIN_ROWS` vectors in the sample, or no background.
    """

    def __init__(self, sample: Floats, rows: int, background: Floats, metric: str) -> None:
        if len(sample) < _MIN_ROWS or len(background) < _MIN_ROWS:
            raise ValueError("too few vectors to compare with")
        self.metric = metric
        self.rows = max(rows, len(sample))
        self.best = min(self.rows, max(BEST, math.ceil(self.rows / len(sample))))
        scores = _scores(background, sample, metric)
        self._temperature = float(scores.std(axis=1).mean()) * _TEMPERATURE or 1e-6
        share = max(1, round(self.best * len(sample) / self.rows))
        levels = soft_maximum(scores, self._temperature, share)
        directions = unit(background)
        self._centre = directions.mean(axis=0)[:, None]
        self._by_vector = _fit(directions, levels)
        self._by_precision = _fit(directions @ self._centre, levels)

    def significance(self, query: Floats, scores: Floats) -> Doubles:
        """How far each hit stands out. Hits above 0 do.

        Args:
            query: float32 [dimension], the vector that was searched for.
            scores: [n], of the `best` hits of the search, or all there are, best first.

        Returns:
            float64 [n], in standard deviations of the background.
        """
        import numpy as np

        similarities = comparable(np.asarray(scores, np.float64), query, self.metric)
        if not len(similarities):
            return similarities
        level = soft_maximum(similarities[None], self._temperature, self.best)[0]
        direction = unit(query[None])
        levels = level - (similarities.max() - similarities)
        return np.minimum(
            self._by_vector.above(direction, levels),
            self._by_precision.above(direction @ self._centre, levels),
        )


def background_queries(
    are_texts: Sequence[bool],
    combine: Callable[[Sequence[Floats]], Floats],
    phrases: Floats,
    pictures: Floats,
    count: int = 400,
) -> Floats:
    """Queries for other things, made as the user's was: with another text or picture per term.

    Args:
        are_texts: for each term of the query, whether it is a text. Otherwise it is a picture.
        combine: makes the vector of a query from the vectors of its terms.
        phrases: float32 [n, dimension]; may be empty if no term is a text.
        pictures: float32 [m, dimension], vectors of the collection that are not in the sample; may
            be empty if no term is a picture.

    Returns:
        float32 [at most n, m or `count`, dimension].
    """
    import numpy as np

    sources = [phrases if is_text else pictures for is_text in are_texts]
    if not all(len(source) for source in sources):
        return phrases[:0]
    if len(sources) == 1:
        chosen = np.arange(len(sources[0]))[:, None]
    else:
        rng = np.random.default_rng(3)
        chosen = np.stack([rng.integers(len(s), size=count) for s in sources], axis=1)
    return np.stack(
        [combine([source[n] for source, n in zip(sources, row, strict=True)]) for row in chosen]
    )


def soft_maximum(scores: Doubles, temperature: float, best: int) -> Doubles:
    """The log-mean-exp of the `best` highest of each row of `scores` [n, m].

    Divided by the temperature it is, up to a constant, the negative free energy of Liu et al.,
    "Energy-based Out-of-distribution Detection", NeurIPS 2020. In rows with fewer than `best`
    scores, the missing ones count as very low.
    """
    import numpy as np

    if best < scores.shape[1]:
        scores = np.partition(scores, scores.shape[1] - best, axis=1)[:, -best:]
    top = scores.max(axis=1)
    total = np.exp((scores - top[:, None]) / temperature).sum(axis=1)
    levels: Doubles = top + temperature * np.log(total / best)
    return levels


def comparable(scores: Doubles, query: Floats, metric: str) -> Doubles:
    """Scores of one query as they were if it had length 1; higher is better."""
    import numpy as np

    if metric == "COSINE":
        return scores
    length = float(np.linalg.norm(query)) or 1.0
    if metric == "L2":  # of q and x: |q|^2 + |x|^2 - 2qx
        return (length**2 - scores) / (2 * length)
    return scores / length


def _scores(queries: Floats, vectors: Floats, metric: str) -> Doubles:
    """Comparable scores, [queries, vectors]."""
    import numpy as np

    if metric == "COSINE":
        vectors = unit(vectors)
    products: Doubles = np.asarray(unit(queries) @ vectors.T, np.float64)
    if metric == "L2":
        lengths = np.linalg.norm(queries, axis=1)[:, None]
        products -= (vectors**2).sum(axis=1) / (2 * np.maximum(lengths, 1e-12))
    return products


@dataclass(frozen=True, slots=True)
class _Fit:
    """A linear model of the levels of background queries."""

    mean: Doubles
    weights: Doubles
    constant: float
    deviation: float
    errors: Doubles
    bound: float = BOUND

    def above(self, features: Floats, level: Doubles) -> Doubles:
        """By how many standard deviations `level` exceeds the boundary at `features` [1, k]."""
        expected = self.constant + (features[0] - self.mean) @ self.weights
        deviations: Doubles = (level - expected) / self.deviation - self.bound
        return deviations


def _fit(features: Floats, levels: Doubles) -> _Fit:
    """Ridge regression; the penalty is the one with the least error on what is left out, one at a
    time (PRESS: Allen, Technometrics 16, 1974), and so is the deviation."""
    import numpy as np

    mean = features.mean(axis=0, dtype=np.float64)
    constant = float(levels.mean())
    left, spread, right = np.linalg.svd(features - mean, full_matrices=False)
    aims = left.T @ (levels - constant)
    best: _Fit | None = None
    for penalty in _PENALTIES:
        shrink = spread**2 / (spread**2 + penalty)
        leverage = (left**2) @ shrink + 1 / len(levels)
        errors = (levels - constant - left @ (shrink * aims)) / np.maximum(1 - leverage, 1e-3)
        deviation = max(float(errors.std()), 1e-9)
        if best is None or deviation < best.deviation:
            weights = right.T @ (shrink * aims / np.maximum(spread, 1e-12))
            best = _Fit(mean, weights, constant, deviation, errors)
    assert best is not None
    return replace(best, bound=boundary(best.errors / best.deviation))


def boundary(errors: Doubles) -> float:
    """Where errors of what is there part from those of what is not.

    Two normal distributions, found by expectation maximisation, as scores of relevant and other
    documents are told apart (Arampatzis, Robertson, Kamps: "Score Distributions in Information
    Retrieval", ICTIR 2009). Where they are not two, most of the background is there, and
    BOUND is its lower end.

    Args:
        errors: float64 [n], in standard deviations.
    """
    import numpy as np

    spread = max(float(errors.std()), 1e-9)
    means, widths = np.quantile(errors, (0.25, 0.9)), np.full(2, spread / 2)
    share = np.array((0.5, 0.5))
    for _ in range(100):
        distances = ((errors[:, None] - means) / widths) ** 2
        weights = share / widths * np.exp(-distances / 2) + 1e-300
        weights /= weights.sum(axis=1, keepdims=True)
        counts = weights.sum(axis=0)
        share = counts / len(errors)
        means = (weights * errors[:, None]).sum(axis=0) / counts
        widths = np.sqrt((weights * (errors[:, None] - means) ** 2).sum(axis=0) / counts)
        widths = np.maximum(widths, 0.2 * spread)
    distance = float((means[1] - means[0]) / widths.mean())
    # Where both are as many of their own widths away.
    middle = float((means * widths[::-1]).sum() / widths.sum())
    return middle if distance > _MIN_DISTANCE and share.min() > _MIN_SHARE else BOUND
