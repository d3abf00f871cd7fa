"""A process that changes a local index and says what is done: `python -m tests.faults.workload`.

Each line of the file `acks` is a change, first as begun, then as done. A vector follows from its
row's path and version, so that whoever reads the index can tell whether it is the right one.
"""

from __future__ import annotations

import json
import os
import random
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from clipstack.index.local import database as local_database
from clipstack.index.local.index import LocalIndex
from clipstack.index.schema import Row, row_id
from tests.material import Model, row

ACKS = "acks"
DATABASE = "some.db"
DIMENSIONS = {"small": 6, "large": 150}


def vector_of(path: str, version: int, dimension: int) -> np.ndarray:
    """The vector, float32 [dimension], that a row has at a version."""
    seed = [zlib.crc32(path.encode()), version]
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


def row_of(path: str, version: int, dimension: int, **facts: object) -> Row:
    """A row at a version, which is told by its `imported_at`."""
    return row(path, vector_of(path, version, dimension), imported_at=version, **facts)


class Acks:
    """The changes of an index, each said when it begins and when it is done.

    Args:
        folder: to write the file `acks` into.
    """

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._fd = os.open(folder / ACKS, flags, 0o600)

    def around(self, change: dict[str, Any], work: Callable[[], object]) -> None:
        """Do some work and say that it begins and is done."""
        self._write("begun", change)
        work()
        self._write("done", change)

    def _write(self, moment: str, change: dict[str, Any]) -> None:
        os.write(self._fd, (json.dumps({"moment": moment, **change}) + "\n").encode())


class Workload:
    """Changes of every kind to one index.

    Args:
        folder: with the database and the file `acks`.
        seed: of the choice of rows.
        version: the highest of the rows that are there.
    """

    def __init__(self, folder: Path, seed: int, version: int = 0) -> None:
        self._database = folder / "data" / DATABASE
        self._acks = Acks(folder)
        self._random = random.Random(seed)
        self._version = version

    def run(self) -> None:
        """All of it: opened three times, so that SQLite ends its journal as often."""
        with self._open() as index:
            self.create(index, "small")
            self.upsert(index, "small", range(40))
            self.upsert(index, "small", range(20, 60))
            self.delete(index, "small", self._sample(60, 25))
            self.upsert(index, "small", range(100, 115))
            self.tag(index, "small", range(100, 110))
        with self._open() as index:
            self.create(index, "large")
            self.upsert(index, "large", range(30))
            for _ in range(4):
                self.upsert(index, "small", self._sample(60, 20))
            self.delete(index, "small", self._sample(60, 30))
            self.compact(index, "small")
            self.upsert(index, "small", self._sample(130, 15))
        with self._open() as index:
            self.upsert(index, "large", range(10, 20))
            self.drop(index, "large")
            self.delete(index, "small", self._sample(130, 40))
            self.compact(index, "small")
            self.create(index, "large")
            self.upsert(index, "large", range(5))
            self.tag(index, "small", self._sample(130, 40))

    def run_on(self) -> None:
        """Change anything, again and again, until the process is ended."""
        with self._open() as index:
            while True:
                name = self._random.choice(list(DIMENSIONS))
                if not index.exists(name):
                    self.create(index, name)
                numbers = self._sample(200, self._random.randint(1, 60))
                change = self._random.choices(
                    (self.upsert, self.delete, self.tag), weights=(6, 2, 1)
                )[0]
                change(index, name, numbers)
                if self._random.random() < 0.1:
                    self.compact(index, name)
                elif self._random.random() < 0.03:
                    self.drop(index, name)

    def _open(self) -> LocalIndex:
        return LocalIndex(self._database, wait=30, create=True)

    def _sample(self, most: int, count: int) -> list[int]:
        return self._random.sample(range(most), count)

    def create(self, index: LocalIndex, name: str) -> None:
        """Make a collection."""
        change = {"change": "create", "collection": name}
        model = Model(dimension=DIMENSIONS[name])
        self._acks.around(change, lambda: index.create(name, model, "L2"))

    def drop(self, index: LocalIndex, name: str) -> None:
        """Delete a collection."""
        change = {"change": "drop", "collection": name}
        self._acks.around(change, lambda: index.drop(name))

    def upsert(self, index: LocalIndex, name: str, numbers: Iterable[int]) -> None:
        """Write rows, all at the next version."""
        self._version += 1
        paths = [f"/pictures/{number}.jpg" for number in numbers]
        rows = [row_of(path, self._version, DIMENSIONS[name]) for path in paths]
        change = {"change": "upsert", "collection": name, "paths": paths, "version": self._version}
        self._acks.around(change, lambda: index.collection(name).upsert(rows))

    def delete(self, index: LocalIndex, name: str, numbers: Iterable[int]) -> None:
        """Delete rows, some of which are not there."""
        paths = [f"/pictures/{number}.jpg" for number in numbers]
        ids = [row_id(path) for path in paths]
        change = {"change": "delete", "collection": name, "paths": paths}
        self._acks.around(change, lambda: index.collection(name).delete(ids))

    def tag(self, index: LocalIndex, name: str, numbers: Iterable[int]) -> None:
        """Give rows a tag, some of which are not there."""
        paths = [f"/pictures/{number}.jpg" for number in numbers]
        tags = {row_id(path): ["seen"] for path in paths}
        change = {"change": "tag", "collection": name, "paths": paths}
        self._acks.around(change, lambda: index.collection(name).set_tags(tags))

    def compact(self, index: LocalIndex, name: str) -> None:
        """Give back the space of deleted rows."""
        change = {"change": "compact", "collection": name}
        self._acks.around(change, lambda: index.compact(name, wait=True))


def main() -> None:
    """Run the workload in a folder with a journal and a seed, given as arguments; on and on where a
    version to go on from is given."""
    folder, journal, seed, *version = sys.argv[1:]
    local_database._WAL_BYTES = 100_000  # a checkpoint every few changes
    if journal == "delete":
        local_database.network_filesystem = lambda _: "nfs4"
    if version:
        Workload(Path(folder), int(seed), int(version[0])).run_on()
    Workload(Path(folder), int(seed)).run()


if __name__ == "__main__":
    main()
