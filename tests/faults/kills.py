"""Processes killed at random moments, one after the other, on one database; nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from clipstack.index.schema import Row, row_id
from tests.faults.expected import Expected, content, difference
from tests.faults.workload import ACKS, DATABASE, row_of, vector_of
from tests.material import Model, draw
from tests.notes import Notes

_ROOT = Path(__file__).parents[2]
_PICTURES = 400
_ROWS, _DIMENSION = 30_000, 256
_IMPORT = ("-m", "shapes", "-c", "pictures", "--batch-size", "8")


class Soak:
    """A database that processes change and are killed at.

    Args:
        folder: an empty one.
        seed: of what is killed, and when.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._database = folder / "data" / DATABASE
        self._expected = Expected()
        self._read = 0  # bytes of the acknowledgements
        self._large_versions: dict[str, int] = {}
        self._pictures = folder / "pictures"
        self._pictures.mkdir(parents=True)
        draw(self._pictures, _PICTURES, 32)
        self._environment = os.environ | {
            "CLIPSTACK_DATABASE": str(self._database),
            "PYTHONPATH": str(_ROOT),
        }
        for kind in ("DATA", "CACHE", "CONFIG"):
            self._environment[f"CLIPSTACK_{kind}_DIR"] = str(folder / kind.lower())
        self._expected_vectors = self._imported_elsewhere()
        self._killed: Counter[str] = Counter()

    def run(self, kills: int) -> Counter[str]:
        """Kill as many processes of each kind by turns; returns how many ended before."""
        kinds = (self.changes, self.imports, self.compacts, self.copies, self.changes, self.copies)
        for number in range(kills):
            kinds[number % len(kinds)]()
            self._check_database()
        return self._killed

    def _imported_elsewhere(self) -> dict[str, np.ndarray]:
        """The pictures' vectors, as an import stores them that nobody ends."""
        database = self._folder / "elsewhere.db"
        environment = self._environment | {"CLIPSTACK_DATABASE": str(database)}
        command = [sys.executable, "-m", "clipstack", "import", self._pictures, *_IMPORT]
        subprocess.run(command, check=True, env=environment, capture_output=True)
        with LocalIndex(database, wait=10) as index:
            return {row.path: row.vector for row in _rows(index, "pictures")}

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.Popen(
            command,
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _kill(
        self,
        kind: str,
        running: subprocess.Popen[bytes],
        has_begun: Callable[[], bool],
        max_delay: float,
    ) -> None:
        """Kill a process at most some seconds after it has begun."""
        while running.poll() is None and not has_begun():
            time.sleep(0.0005)
        time.sleep(self._random.uniform(0, max_delay))
        running.send_signal(signal.SIGKILL)
        return_code = running.wait()
        self._killed[f"{kind}{'' if return_code == -signal.SIGKILL else ', ended before'}"] += 1

    def _finish(self, *arguments: object) -> None:
        """Run a command to its end.

        Raises:
            AssertionError: it fails.
        """
        command = [sys.executable, "-m", "clipstack", *map(str, arguments)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def changes(self) -> None:
        """Kill a process that upserts, deletes, tags, compacts, makes and drops collections."""
        version = self._version()
        seed = self._random.randrange(2**31)
        acks, before = self._folder / ACKS, self._read
        running = self._start("tests.faults.workload", self._folder, "wal", seed, version)
        self._kill("changes", running, lambda: acks.exists() and acks.stat().st_size > before, 0.5)
        lines = acks.read_bytes()[before:].splitlines(keepends=True)
        for line in lines:
            self._expected.take(line)
        self._read = acks.stat().st_size

    def _version(self) -> int:
        rows = [row for rows in self._expected.collections.values() for row in rows.values()]
        begun = (self._expected.begun or {}).get("version", 0)
        return max([begun, *(version for version, _ in rows)]) + 1

    def imports(self) -> None:
        """Kill `clipstack import`: what another process has seen of it before stays."""
        before = self._paths("pictures")
        if len(before) == _PICTURES:
            self._finish("collections", "drop", "pictures", "--yes")
            before = set()
        running = self._start("clipstack", "import", self._pictures, *_IMPORT)
        goal = len(before) + self._random.randint(1, _PICTURES - len(before))
        seen_paths = before

        def has_begun() -> bool:
            nonlocal seen_paths
            if self._count("pictures") < goal:
                return False
            seen_paths = self._paths("pictures")
            return True

        self._kill("import", running, has_begun, 0.02)
        assert seen_paths <= self._paths("pictures"), "pictures that were seen are gone"
        if self._random.random() < 0.5:
            self._finish("import", self._pictures, *_IMPORT)
            assert self._paths("pictures") == self._expected_vectors.keys()

    def compacts(self) -> None:
        """Kill `clipstack collections compact`."""
        with LocalIndex(self._database, wait=10, create=True) as index:
            if index.exists("again"):  # it would be a copy of what was
                index.drop("again")
            if not index.exists("rows"):
                index.create("rows", Model(dimension=_DIMENSION), "COSINE")
            collection = index.collection("rows")
            paths = [f"/rows/{number}" for number in range(_ROWS)]
            version = max(self._large_versions.values(), default=0) + 1
            sample = self._random.sample(paths, _ROWS // 2)
            collection.upsert([row_of(path, version, _DIMENSION) for path in sample])
            self._large_versions |= dict.fromkeys(sample, version)
            sample = self._random.sample(
                sorted(self._large_versions), len(self._large_versions) // 3
            )
            collection.delete([row_id(path) for path in sample])
            for path in sample:
                del self._large_versions[path]
            before = index.describe("rows").rows
        assert before == len(self._large_versions)
        state = self._state()
        running = self._start("clipstack", "collections", "compact", "rows")
        self._kill("compaction", running, lambda: self._state() != state, 0.1)
        with LocalIndex(self._database, wait=10) as index:
            rows = _rows(index, "rows")
        assert {row.path: row.imported_at for row in rows} == self._large_versions
        assert len(rows) == len(self._large_versions)
        for row in rows:
            assert np.array_equal(row.vector, vector_of(row.path, row.imported_at, _DIMENSION))

    def _state(self) -> tuple[object, ...]:
        """What the catalog says of the collection `rows`, and the files of vectors."""
        connection = sqlite3.connect(self._database, timeout=10)
        query = "SELECT number, vectors, version FROM collections WHERE name = 'rows'"
        row = connection.execute(query).fetchone()
        connection.close()
        return row, *sorted(self._database.with_name(f"{DATABASE}-vectors").iterdir())

    def copies(self) -> None:
        """Kill `clipstack collections copy`: what it copied is there as in the source, and another
        goes on from there."""
        line = ("collections", "copy", "rows", "--to", "embedded", "--as", "again")
        with LocalIndex(self._database, wait=10) as index:
            source = {row.path: row for row in _rows(index, "rows")}
        before = self._count("again")
        if before == len(source):
            self._finish("collections", "drop", "again", "--yes")
            before = 0
        goal = self._random.randint(before, len(source) - 1)
        running = self._start("clipstack", *line)
        self._kill("copy", running, lambda: self._count("again") >= goal, 0.02)
        self._check_copy(source, goal)
        if self._random.random() < 0.5:
            self._finish(*line)
            self._check_copy(source, len(source))

    def _check_copy(self, source: dict[str, Row], count: int) -> None:
        """Look at the copy, which has as many rows of the source at the least."""
        with LocalIndex(self._database, wait=10) as index:
            rows = _rows(index, "again") if index.exists("again") else []
        assert len(rows) >= count, "rows that were seen are gone"
        assert len({row.path for row in rows}) == len(rows), "rows are doubled"
        for row in rows:
            assert np.array_equal(row.vector, source[row.path].vector), row.path
            assert row.imported_at == source[row.path].imported_at

    def _paths(self, name: str) -> set[str]:
        if not self._database.exists():
            return set()
        with LocalIndex(self._database, wait=10) as index:
            rows = index.collection(name).all_picture_tags() if index.exists(name) else ()
            return {row.path for row in rows}

    def _count(self, name: str) -> int:
        """Rows of a collection; read as quickly as can be, for what goes on meanwhile."""
        if not self._database.exists():
            return 0
        connection = sqlite3.connect(self._database, timeout=10)
        try:
            query = "SELECT row_count FROM collections WHERE name = ?"
            row = connection.execute(query, (name,)).fetchone()
        except sqlite3.OperationalError:  # its tables are not made yet
            row = None
        finally:
            connection.close()
        return row[0] if row else 0

    def _check_database(self) -> None:
        """Look at every row, and at the files."""
        connection = sqlite3.connect(self._database, timeout=10)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        with LocalIndex(self._database, wait=10) as index:
            contents = content(index)
            possible = list(self._expected.possible())
            assert contents in possible, difference(contents, possible[0])
            self._expected = Expected(contents)
            if index.exists("pictures"):
                rows = _rows(index, "pictures")
                assert len({row.path for row in rows}) == len(rows)
                for row in rows:
                    assert np.abs(row.vector - self._expected_vectors[row.path]).max() < 1e-4
        problems = [
            finding for finding in check_database(self._database) if finding.level == "fail"
        ]
        assert not problems, problems


def _rows(index: LocalIndex, name: str) -> list[Row]:
    """Every row of a collection, none of which is damaged."""
    notes = Notes()
    collection = index.collection(name, events=notes)
    rows = [row for batch in collection.rows() for row in batch]
    assert not notes.texts, notes.texts
    assert collection.count() == len(rows), "rows are counted that are not there"
    return rows
