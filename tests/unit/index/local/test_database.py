"""The SQLite file: damaged, another program's, or of another version."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from pathlib import Path

import pytest

from clipstack.errors import ClipstackError
from clipstack.index.local import schema
from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from tests.local_index import ROWS, fill, findable_rows


class TestSqliteFile:
    """The file with the rows."""

    @staticmethod
    def refused(path: Path) -> ClipstackError:
        """The error of opening the database, which `check` reports, too."""
        with pytest.raises(ClipstackError) as raised:
            LocalIndex(path, wait=1)
        (finding,) = check_database(path)
        assert (finding.level, finding.text) == ("fail", raised.value.message)
        assert finding.fix == raised.value.hint
        assert str(path) in raised.value.message
        return raised.value

    def test_garbage(self, tmp_path: Path) -> None:
        path = tmp_path / "some.db"
        path.write_bytes(random.Random(1).randbytes(50_000))
        assert "not a database of clipstack's" in self.refused(path).message

    def test_cut_off(self, database: Path) -> None:
        os.truncate(database, database.stat().st_size // 2)
        with pytest.raises(ClipstackError, match="damaged"):
            LocalIndex(database, wait=1)
        (finding,) = [finding for finding in check_database(database) if finding.level == "fail"]
        assert "damaged" in finding.text
        assert finding.fix

    def test_overwritten_within(self, database: Path) -> None:
        pages = database.stat().st_size // 4096
        with database.open("r+b") as opened:
            opened.seek(4096 * (pages // 2))
            opened.write(random.Random(1).randbytes(4096 * (pages - pages // 2)))
        findings = [finding for finding in check_database(database) if finding.level == "fail"]
        assert findings
        assert all(finding.fix for finding in findings)
        with LocalIndex(database, wait=1) as index, pytest.raises(ClipstackError):
            list(index.collection("images").rows())

    def test_emptied(self, database: Path) -> None:
        database.write_bytes(b"")
        error = self.refused(database)
        assert "is empty, but the vectors of its collections" in error.message

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "some.db"
        path.touch()
        (finding,) = check_database(path)
        assert (finding.level, "nothing is imported" in finding.text) == ("ok", True)
        fill(path)
        assert {finding.level for finding in check_database(path)} == {"ok"}

    def test_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "some.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE songs (title)")
        before = path.read_bytes()
        assert "of another program" in self.refused(path).message
        assert path.read_bytes() == before

    def test_of_milvus_lite(self, tmp_path: Path) -> None:
        path = tmp_path / "some.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE collection_meta (id INTEGER PRIMARY KEY)")
        error = self.refused(path)
        assert "a Milvus Lite database of an earlier clipstack" in error.message
        assert "import your pictures again" in error.hint

    def test_of_a_newer_clipstack(self, database: Path) -> None:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA user_version = 99")
        error = self.refused(database)
        assert "newer clipstack (schema 99" in error.message
        assert "Upgrade clipstack" in error.hint

    def test_an_older_schema_is_taken_forward(
        self, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        step = ("ALTER TABLE collections ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'",)
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
        for _ in range(2):
            with LocalIndex(database, wait=1) as index:
                assert findable_rows(index.collection("images"), range(ROWS)) == set(range(ROWS))
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("SELECT colour FROM collections").fetchall() == [("grey",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (2,)

    def test_a_step_that_fails_changes_nothing(
        self, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        step = ("ALTER TABLE collections ADD COLUMN colour TEXT", "DROP TABLE missing")
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
            with pytest.raises(ClipstackError, match="no such table"):
                LocalIndex(database, wait=1)
        with LocalIndex(database, wait=1) as index:
            assert findable_rows(index.collection("images"), range(ROWS)) == set(range(ROWS))
