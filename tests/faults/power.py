"""Power failures replayed: at every point of a workload, in every way, the index is whole."""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from clipstack.index.schema import row_id
from tests.faults.disk import Disk, Record, record, write_files
from tests.faults.expected import Expected, content, difference
from tests.faults.workload import ACKS, DATABASE, DIMENSIONS, row_of

KINDS = ("none", "all", "some", "some", "torn", "torn", "torn")


class LostError(AssertionError):
    """A state that is not as it should be."""


def workload(root: Path, library: Path, journal: str, seed: int) -> list[Record]:
    """What the workload writes to a disk.

    Args:
        root: an empty folder for it.
        library: that records.
        journal: SQLite's, "wal" or "delete".
    """
    arguments = [str(root), journal, str(seed)]
    return record([sys.executable, "-m", "tests.faults.workload", *arguments], root, library)


def replay(
    records: list[Record], seed: int, *, every: int = 1, kinds: Iterable[str] = KINDS
) -> Counter[str]:
    """Fail the power after each record, in each way, and look at what is left.

    Args:
        seed: of what is lost.
        every: only after every so many records.

    Returns:
        How many states there were of each kind.

    Raises:
        LostError: a state is not whole.
    """
    disk, expected, states = Disk(), Expected(), Counter[str]()
    for number, entry in enumerate(records):
        if entry.path == ACKS:
            if entry.operation == "W":
                expected.take(entry.data)
        else:
            disk.apply(entry)
        if number % every:
            continue
        for variant, kind in enumerate(kinds):
            chance = random.Random(f"{seed} {number} {variant}")
            with tempfile.TemporaryDirectory(dir=_memory()) as folder:
                write_files(disk.after_failure(kind, chance), Path(folder))
                try:
                    require_whole(Path(folder) / "data" / DATABASE, expected)
                except Exception as error:
                    text = f"seed {seed}, record {number} ({entry.operation} {entry.path}), {kind}"
                    raise LostError(f"{text}: {type(error).__name__}: {error}") from error
            states[kind] += 1
    return states


def _memory() -> str | None:
    """A folder in memory, where there is one: thousands of states are written."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def require_whole(database: Path, expected: Expected) -> None:
    """Open a database, look at every row, and write to it.

    Raises:
        AssertionError: something that was acknowledged is lost, or not as it was.
    """
    if not database.exists():
        assert not expected.collections, "the database is gone"
        return
    with LocalIndex(database, wait=1, create=True) as index:
        there = content(index)
        possible = list(expected.possible())
        assert there in possible, difference(there, possible[0])
        for name in there:
            _require_usable(index, name)
    problems = [found for found in check_database(database) if found.level == "fail"]
    assert not problems, problems
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def _require_usable(index: LocalIndex, name: str) -> None:
    """Write to a collection and find what was written, beside what was there."""
    collection = index.collection(name)
    before = collection.count()
    rows = [row_of(f"/later/{number}", 0, DIMENSIONS[name]) for number in range(12)]
    collection.upsert(rows)
    assert collection.count() == before + len(rows)
    found = collection.search(np.stack([row.vector for row in rows]), limit=2)
    assert [hits[0].path for hits in found] == [row.path for row in rows]
    collection.delete([row_id(row.path) for row in rows])
    assert collection.count() == before
