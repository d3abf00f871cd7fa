"""Choosing and ordering hits: diverse ones, the best of each group, by date or path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from clipstack.index.schema import higher_is_better
from clipstack.vectors import unit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.index.base import Hit
    from clipstack.index.schema import Vector
    from clipstack.search.query import GroupBy, Sort


RELEVANCE = 0.6
"""The weight of the score; the rest is that of being unlike the hits before.

For queries of `shapes` with 16 drawings of one scene and 11 others that fit, 0.6 gave 8.9 different
scenes in 10 hits (without it: 4.9) and no wrong hit. 0.5 gave 9.6, and wrong hits where fewer fit.
"""
_SCALE_ROWS = 256


@dataclass(frozen=True, slots=True)
class Group:
    """A folder or a day, which one hit represents.

    Attributes:
        name: the folder, or the day as YYYY-MM-DD; "" if the day is unknown.
        size: pictures of the group among the candidates.
    """

    name: str
    size: int


def diverse(
    hits: Sequence[Hit], vectors: Mapping[str, Vector], count: int, metric: str
) -> list[Hit]:
    """`count` of `hits` that fit well and differ from each other, by maximal marginal relevance.

    Each next hit has the highest `RELEVANCE` times its score, less the rest times its highest
    cosine to those chosen (Carbonell and Goldstein, The Use of MMR, SIGIR 1998,
    https://doi.org/10.1145/290941.291025). Scores of a text and cosines between pictures have
    different ranges, so both are first scaled to 0 to 1 over these candidates.

    Args:
        hits: the candidates, best first.
        vectors: float32 [dimension] of each hit, by id; hits without one are left out.
        metric: of the scores.
    """
    import numpy as np

    hits = [hit for hit in hits if hit.id in vectors]
    if not hits:
        return []
    units = unit(np.stack([vectors[hit.id] for hit in hits]))
    scores = np.array([hit.score for hit in hits])
    relevance = _scaled(scores if higher_is_better(metric) else -scores)
    least = float((units[:_SCALE_ROWS] @ units[:_SCALE_ROWS].T).min())
    nearest = np.zeros(len(hits))
    chosen: list[int] = []
    remaining = np.ones(len(hits), bool)
    while len(chosen) < min(count, len(hits)):
        gain = RELEVANCE * relevance - (1 - RELEVANCE) * nearest
        best = int(np.where(remaining, gain, -np.inf).argmax())
        chosen.append(best)
        remaining[best] = False
        similarity = (units @ units[best] - least) / max(1 - least, 1e-12)
        nearest = np.maximum(nearest, similarity)
    return [hits[n] for n in chosen]


def grouped(hits: Sequence[Hit], by: GroupBy) -> tuple[list[Hit], dict[str, Group]]:
    """The best hit of each folder or day, best first, and by its id the group it represents."""
    sizes = Counter(_group(hit, by) for hit in hits)
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(_group(hit, by), hit)
    return list(first.values()), {hit.id: Group(name, sizes[name]) for name, hit in first.items()}


def ordered(hits: Sequence[Hit], sort: Sort) -> list[Hit]:
    """Sort hits by date, the newest first and those without a date last, or by path, or not."""
    if sort == "date":
        return sorted(hits, key=lambda hit: (not hit.taken_at, -hit.taken_at))
    if sort == "path":
        return sorted(hits, key=lambda hit: hit.path)
    return list(hits)


def _group(hit: Hit, by: GroupBy) -> str:
    if by == "folder":
        return str(PurePath(hit.path).parent)
    # Without an offset, EXIF's time of day is kept as if it were UTC.
    return datetime.fromtimestamp(hit.taken_at, UTC).date().isoformat() if hit.taken_at else ""


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    span = float(values.max() - values.min())
    scaled: npt.NDArray[np.float64] = (values - values.min()) / (span or 1.0)
    return scaled
