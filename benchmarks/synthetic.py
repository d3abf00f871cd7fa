"""Synthetic pictures: vectors, paths and metadata of files.

It imports nothing of clipstack, as peers fill their databases with the same pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BLOCK = 10_000
"""Pictures made at once; their files are links to one original."""
_INNER = 48
_FOLDER = 1000
_FIRST_DAY, _DAYS = 1_420_070_400, 4018  # 2015-01-01, and eleven years
_CAMERAS = [f"{maker} {model}" for maker in ("Canon EOS", "Apple iPhone") for model in range(10)]


class Picture(NamedTuple):
    """The metadata of a synthetic picture.

    One in two has a place, one in ten has the tag "holiday" and another one; half of the cameras
    are Canon's. Dates are spread over 2015 to 2025, widths over 4000 to 4099.

    Attributes:
        size: bytes; mtime: seconds since the epoch, as `os.stat` has it; taken_at likewise.
    """

    path: str
    digest: str
    size: int
    mtime: float
    mtime_ns: int
    width: int
    height: int
    taken_at: int
    facts: dict[str, Any]

    def fields(self) -> dict[str, Any]:
        """The fields of a clipstack row, without its id and its vector."""
        fixed = {name: value for name, value in self._asdict().items() if name != "mtime"}
        return fixed | {"format": "JPEG", "imported_at": 1_700_000_000}


def vectors(count: int, dimension: int, seed: int | tuple[int, ...] = 0) -> np.ndarray:
    """Float32 [count, dimension] of length 1, grouped as embeddings of pictures are: 48 directions
    in which they differ much, 300 places where they gather, and noise. Of one distribution for
    every seed; wholly random ones are no task for an index, as all are equally far apart."""
    shape_rng = np.random.default_rng(1000 + dimension)
    directions = shape_rng.standard_normal((_INNER, dimension), np.float32)
    centers = shape_rng.standard_normal((300, _INNER), np.float32)
    rng = np.random.default_rng(seed)
    coordinates = centers[rng.integers(0, len(centers), count)]
    coordinates = coordinates + 0.6 * rng.standard_normal((count, _INNER), np.float32)
    rows = coordinates @ directions + 0.5 * rng.standard_normal((count, dimension), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def blocks(
    start: int, end: int, dimension: int, folder: Path | str, originals: Path | None = None
) -> Iterator[tuple[list[Picture], np.ndarray]]:
    """The pictures from number `start` to before `end`, with their vectors, block by block.

    They are the same whatever `start` and `end` are.

    Args:
        folder: in which their paths are.
        originals: the folder of the files that theirs are links to, where they have files.
    """
    for block in range(start // BLOCK, -(-end // BLOCK)):
        first, last = max(start, block * BLOCK), min(end, (block + 1) * BLOCK)
        stat = _stat(originals, block)
        pictures = [_picture(number, folder, stat) for number in range(first, last)]
        block_vectors = vectors(BLOCK, dimension, (7, block))
        yield pictures, block_vectors[first - block * BLOCK : last - block * BLOCK]


def path_of(folder: Path | str, number: int) -> str:
    """The path of a picture; each folder has a thousand."""
    return f"{folder}/{number // _FOLDER:05d}/IMG_{number:08d}.jpg"


def link(originals: list[Path], folder: Path, start: int, end: int) -> None:
    """Make the files of the pictures from `start` to before `end`, as hard links to an original
    for each block: ext4 allows 65,000 links to a file."""
    for number in range(start, end):
        path = path_of(folder, number)
        if number % _FOLDER == 0 or number == start:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[number // BLOCK], path)


def original(originals: Path, block: int) -> Path:
    """The file that the files of a block are links to."""
    return originals / f"photo-{block:06d}.jpg"


def _stat(originals: Path | None, block: int) -> os.stat_result | None:
    if originals is None or not original(originals, block).exists():
        return None
    return original(originals, block).stat()


def _picture(number: int, folder: Path | str, stat: os.stat_result | None) -> Picture:
    facts: dict[str, Any] = {"camera": _CAMERAS[number % len(_CAMERAS)]}
    if number % 2:
        facts["lat"] = number * 7919 % 120_000 / 1000 - 60
        facts["lon"] = number * 104_729 % 360_000 / 1000 - 180
    if number % 10 == 0:
        facts["tags"] = [f"tag {number % 500}", "holiday"]
    seconds = _FIRST_DAY + number * 313 % (86_400 * _DAYS)
    return Picture(
        path_of(folder, number),
        f"{number:032x}",
        stat.st_size if stat else 3_000_000 + number,
        stat.st_mtime if stat else 1_600_000_000.0 + number,
        stat.st_mtime_ns if stat else (1_600_000_000 + number) * 10**9,
        4000 + number % 100,
        3000,
        seconds,
        facts,
    )
