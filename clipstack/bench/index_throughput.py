"""How fast random rows are written to a temporary database and searched there."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.bench.report import SearchTiming, Stage, StageKind
from clipstack.events import Events
from clipstack.index.base import Collection
from clipstack.index.connect import connect
from clipstack.index.schema import Row, row_id
from clipstack.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from clipstack.encoders.base import ModelInfo

SIZES = (1_000, 10_000, 50_000)
"""Rows to search among."""
_AT_ONCE = 1000


def measure(
    model: ModelInfo, batch: int, seconds: float, events: Events
) -> tuple[Stage, list[SearchTiming], list[str]]:
    """Write and search random rows of the model's dimension for about `seconds`.

    Args:
        batch: rows written at once, as an import would.

    Returns:
        The stage, the searches, and the sizes that there was no time for.
    """
    started = time.perf_counter()
    with _temporary_collection(model) as collection:
        rows = _Rows(model.dimension)
        events.note("Writing rows into a throw-away file")
        stage = _write(collection, rows, batch, seconds * 0.1)
        searches: list[SearchTiming] = []
        for number, size in enumerate(SIZES):
            left = seconds - (time.perf_counter() - started)
            if not _fill(collection, rows, size, left * 0.9, must=number == 0):
                reason = "the time ran out; give it more with --seconds"
                return (
                    stage,
                    searches,
                    [f"search of {rest:,} rows: {reason}" for rest in SIZES[number:]],
                )
            events.note(f"Searching {size:,} rows")
            left = seconds - (time.perf_counter() - started)
            searches.append(SearchTiming(size, _search(collection, rows, max(0.0, left) * 0.15)))
        return stage, searches, []


class _Rows:
    """Rows with random vectors."""

    def __init__(self, dimension: int) -> None:
        import numpy as np

        self.written = 0
        self._dimension = dimension
        self._random = np.random.default_rng(0)

    def take(self, count: int) -> list[Row]:
        vectors = self.vectors(count)
        rows = []
        for vector in vectors:
            path = f"/pictures/of/someone/{self.written:08d}.jpg"
            digest = f"{self.written:032x}"
            self.written += 1
            rows.append(
                Row(row_id(path), path, digest, 1, 1, 1, 1, "JPEG", 0, 0, vector),
            )
        return rows

    def vectors(self, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        import numpy as np

        return self._random.standard_normal((count, self._dimension), np.float32)


@contextlib.contextmanager
def _temporary_collection(model: ModelInfo) -> Iterator[Collection]:
    """A collection in a database of its own, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="clipstack-bench-") as folder:
        settings = Settings(database=Path(folder) / "bench.db")
        with connect(settings, create=True) as index:
            index.create("bench", model, settings.metric)
            yield index.collection("bench")


def _write(collection: Collection, rows: _Rows, batch: int, seconds: float) -> Stage:
    busy = 0.0
    while busy < seconds or not rows.written:
        batch_rows = rows.take(batch)
        started = time.perf_counter()
        collection.upsert(batch_rows, new=True)
        busy += time.perf_counter() - started
    return Stage(StageKind.WRITE, "embedded, one core", rows.written / busy)


def _fill(collection: Collection, rows: _Rows, size: int, seconds: float, *, must: bool) -> bool:
    """Write up to `size` rows; False if that would take more than `seconds`, by the pace so far."""
    started, before = time.perf_counter(), rows.written
    while rows.written < size:
        batch = rows.take(min(_AT_ONCE, size - rows.written))
        collection.upsert(batch, new=True)
        elapsed = time.perf_counter() - started
        pace = elapsed / (rows.written - before)
        if not must and elapsed + pace * (size - rows.written) > seconds:
            return False
    return True


def _search(collection: Collection, rows: _Rows, seconds: float) -> float:
    """Median seconds of a search for ten rows; the first, which maps the vectors, is left out."""
    collection.search(rows.vectors(1), limit=10)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < until and len(times) < 200):
        query = rows.vectors(1)
        started = time.perf_counter()
        collection.search(query, limit=10)
        times.append(time.perf_counter() - started)
    return statistics.median(times)
