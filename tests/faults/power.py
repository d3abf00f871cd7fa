"""Power failures replayed: at every point of a workload, in every way, the index is whole."""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipstack.index.local.check import check
from clipstack.index.local.index import LocalIndex
from clipstack.index.schema import row_id
from tests.faults.disk import Disk, Record, lay_out, record
from tests.faults.workload import ACKS, DATABASE, DIMENSIONS, row_of, vector_of

KINDS = ("none", "all", "some", "some", "torn", "torn", "torn")


class LostError(AssertionError):
    """A state that is not as it should be."""


@dataclass
class Expected:
    """What was acknowledged, and what was begun.

    Attributes:
        collections: for each that is there, the version and the tag of the rows by their paths.
        begun: the change that may be done or not.
    """

    collections: dict[str, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    begun: dict[str, Any] | None = None

    def take(self, line: bytes) -> None:
        """Take what a line of the acknowledgements says."""
        change = json.loads(line)
        if change["moment"] == "begun":
            self.begun = change
        else:
            self.collections = changed(self.collections, change)
            self.begun = None

    def possible(self) -> Iterator[dict[str, dict[str, tuple[int, bool]]]]:
        """The collections as they may be: with what was begun, or without it."""
        yield self.collections
        if self.begun:
            yield changed(self.collections, self.begun)


def changed(
    collections: dict[str, dict[str, tuple[int, bool]]], change: dict[str, Any]
) -> dict[str, dict[str, tuple[int, bool]]]:
    """The collections after a change."""
    collections = {name: dict(rows) for name, rows in collections.items()}
    name, paths = change["collection"], change.get("paths", ())
    if change["change"] == "create":
        collections[name] = {}
    elif change["change"] == "drop":
        del collections[name]
    rows = collections.get(name, {})
    for path in paths:
        if change["change"] == "upsert":
            rows[path] = change["version"], path in rows and rows[path][1]
        elif change["change"] == "delete":
            rows.pop(path, None)
        elif path in rows:
            rows[path] = rows[path][0], True
    return collections


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
    for number, one in enumerate(records):
        if one.path == ACKS:
            if one.operation == "W":
                expected.take(one.data)
        else:
            disk.apply(one)
        if number % every:
            continue
        for variant, kind in enumerate(kinds):
            chance = random.Random(f"{seed} {number} {variant}")
            with tempfile.TemporaryDirectory(dir=_memory()) as folder:
                lay_out(disk.after_failure(kind, chance), Path(folder))
                try:
                    require_whole(Path(folder) / "data" / DATABASE, expected)
                except Exception as error:
                    text = f"seed {seed}, record {number} ({one.operation} {one.path}), {kind}"
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
        there = _content(index)
        possible = list(expected.possible())
        assert there in possible, _difference(there, possible[0])
        for name in there:
            _require_usable(index, name)
    problems = [found for found in check(database) if found.level == "fail"]
    assert not problems, problems
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def _content(index: LocalIndex) -> dict[str, dict[str, tuple[int, bool]]]:
    """The version and tag of each row of each collection, whose vectors are right."""
    content: dict[str, dict[str, tuple[int, bool]]] = {}
    for name in index.names():
        notes: list[str] = []
        collection = index.collection(name, note=notes.append)
        rows = [row for batch in collection.rows() for row in batch]
        content[name] = {row.path: (row.imported_at, "tags" in row.facts) for row in rows}
        assert not notes, notes
        assert len(rows) == len(content[name]) == collection.count(), "rows are doubled or lost"
        for row in rows:
            right = vector_of(row.path, row.imported_at, DIMENSIONS[name])
            assert np.array_equal(row.vector, right), f"{row.path} has another vector"
    return content


def _difference(
    there: dict[str, dict[str, tuple[int, bool]]], wanted: dict[str, dict[str, tuple[int, bool]]]
) -> str:
    if there.keys() != wanted.keys():
        return f"collections {sorted(there)} instead of {sorted(wanted)}"
    rows = [
        f"{path}: {there[name].get(path)} instead of {wanted[name].get(path)}"
        for name in wanted
        for path in wanted[name].keys() | there[name].keys()
        if there[name].get(path) != wanted[name].get(path)
    ]
    return f"{len(rows)} rows, {rows[:3]}"


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
