"""A number and a dimension in, made-up rows, and databases that hold them, out."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import common
import numpy as np

if TYPE_CHECKING:
    from clipstack.encoders.base import ModelInfo
    from clipstack.index.store import Store

_AT_ONCE = 1000
_INNER = 48


def vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Float32 [count, dimension] of length 1, grouped as embeddings of pictures are: 48 directions
    in which they differ much, 300 places where they gather, and noise. Of one distribution for
    every seed; wholly random ones are no task for an index, as all are equally far apart."""
    shape = np.random.default_rng(1000 + dimension)
    directions = shape.standard_normal((_INNER, dimension), np.float32)
    places = shape.standard_normal((300, _INNER), np.float32)
    random = np.random.default_rng(seed)
    inner = places[random.integers(0, len(places), count)]
    inner = inner + 0.6 * random.standard_normal((count, _INNER), np.float32)
    found = inner @ directions + 0.5 * random.standard_normal((count, dimension), np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


def path_of(folder: Path | str, number: int) -> str:
    """The path of a made-up picture."""
    return f"{folder}/{number:08d}.jpg"


def fill(store: Store, found: np.ndarray, folder: Path | str, start: int = 0) -> float:
    """Write a row for each vector, numbered from `start`; returns the seconds it took."""
    from clipstack.index.schema import Row, row_id

    seconds = 0.0
    for at in range(0, len(found), _AT_ONCE):
        some = []
        for offset, vector in enumerate(found[at : at + _AT_ONCE]):
            number = start + at + offset
            path = path_of(folder, number)
            some.append(
                Row(row_id(path), path, f"{number:032x}", 1, 1, 500, 375, "JPEG", 0, 0, vector)
            )
        started = time.perf_counter()
        store.add(some)
        seconds += time.perf_counter() - started
    return seconds


@contextlib.contextmanager
def opened(data: Path, info: ModelInfo, collection: str = "images") -> Iterator[Store]:
    """The collection in the database of a `clipstack` whose data folder is `data`, made anew."""
    from clipstack.index import collections
    from clipstack.index.database import Database
    from clipstack.index.store import Store

    with Database(data / "clipstack.db", wait=30) as database:
        yield Store(
            database.client, collections.create(database.client, collection, info, "COSINE")
        )


@contextlib.contextmanager
def throw_away(work: Path, info: ModelInfo) -> Iterator[Store]:
    """A collection that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=work) as data:
        os.environ.update(common.own_environment(work, Path(data)))
        with opened(Path(data), info) as store:
            yield store


def search_seconds(store: Store, queries: np.ndarray) -> tuple[list[float], list[list[str]]]:
    """The seconds of a search for each query, and the paths of its ten hits; the collection is
    loaded by one search before."""
    store.search(queries[0], limit=10)
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        hits = store.search(query, limit=10)
        times.append(time.perf_counter() - started)
        found.append([hit.path for hit in hits])
    return times, found
