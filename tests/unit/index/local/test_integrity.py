"""Damaged files: what is whole is found, the rest is told of, and compaction heals."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipstack.errors import ClipstackError
from clipstack.index.filters.parse import parse
from clipstack.index.local import nearest_rows
from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from clipstack.index.schema import row_id
from tests.faults.workload import vector_of
from tests.local_index import DIMENSION, ROWS, findable_rows, numbered_row, vectors_file
from tests.material import Model
from tests.notes import Notes
from tests.running import Cli, Ran

SLOT = 4 * (DIMENSION + 2)


def cut_off(file: Path) -> set[int]:
    """Cut a file of vectors off within row 120; returns the rows that are left."""
    os.truncate(file, 120 * SLOT + 10)
    return set(range(120))


def overwrite(file: Path) -> set[int]:
    """Write random bytes over rows 30 to 129."""
    with file.open("r+b") as opened:
        opened.seek(30 * SLOT)
        opened.write(random.Random(4).randbytes(100 * SLOT))
    return set(range(30)) | set(range(130, ROWS))


def flip(file: Path) -> set[int]:
    """Flip a bit of row 7, of the length of row 8 and of the checksum of row 9."""
    content = bytearray(file.read_bytes())
    for number, offset in ((7, 5), (8, 4 * DIMENSION), (9, 4 * DIMENSION + 4)):
        content[number * SLOT + offset] ^= 64
    file.write_bytes(content)
    return set(range(ROWS)) - {7, 8, 9}


def swap(file: Path) -> set[int]:
    """Let rows 3 and 4 have each other's vectors."""
    content = bytearray(file.read_bytes())
    third, fourth = content[3 * SLOT : 4 * SLOT], content[4 * SLOT : 5 * SLOT]
    content[3 * SLOT : 5 * SLOT] = fourth + third
    file.write_bytes(content)
    return set(range(ROWS)) - {3, 4}


def lose(file: Path) -> set[int]:
    """Delete a file of vectors."""
    file.unlink()
    return set()


def empty(file: Path) -> set[int]:
    """Cut a file of vectors off at its beginning."""
    os.truncate(file, 0)
    return set()


DAMAGES = (cut_off, overwrite, flip, swap, lose, empty)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_whole_is_found(database: Path, damage: Callable[[Path], set[int]]) -> None:
    valid = damage(vectors_file(database))
    notes = Notes()
    with LocalIndex(database, wait=1) as index:
        collection = index.collection("images", events=notes)
        collection.prepare()
        nearest = vector_of("/0", 0, DIMENSION)[None]
        hits = collection.search(nearest, limit=ROWS)[0]
        assert {hit.path for hit in hits} == {f"/{number}" for number in valid}
        assert all(-1.001 <= hit.score <= 1.001 for hit in hits)
        assert len(notes.texts) == 1
        assert "clipstack doctor" in notes.texts[0]
        if valid:
            assert findable_rows(collection, valid) == valid
        filtered = collection.search(nearest, limit=ROWS, filter=parse("width > 1"))[0]
        assert [hit.path for hit in filtered] == [hit.path for hit in hits]
        assert len(notes.texts) == 1, "told again"
        ids = [row_id(f"/{number}") for number in range(ROWS)]
        vectors = collection.vectors(ids)
        assert vectors.keys() == {row_id(f"/{number}") for number in valid}
        for number in valid:
            right = vector_of(f"/{number}", 0, DIMENSION)
            assert np.array_equal(vectors[row_id(f"/{number}")], right)
        assert len(collection.sample(ROWS)) == len(valid)
        exported = {row.path for batch in collection.rows() for row in batch}
        assert exported == {f"/{number}" for number in valid}
        assert notes.texts[1:] == [
            f"{ROWS - len(valid)} rows are left out: their vectors are damaged."
        ]


@pytest.mark.parametrize("damage", DAMAGES)
def test_compaction_and_another_import_heal(
    database: Path, damage: Callable[[Path], set[int]]
) -> None:
    valid = damage(vectors_file(database))
    with LocalIndex(database, wait=1) as index:
        compacted = index.compact("images", wait=True)
        assert compacted.lost == ROWS - len(valid)
        notes = Notes()
        collection = index.collection("images", events=notes)
        assert collection.count() == len(valid)
        missing = [numbered_row(number) for number in range(ROWS) if number not in valid]
        assert not collection.file_signatures([row.id for row in missing])
        collection.upsert(missing)
        assert findable_rows(collection, range(ROWS)) == set(range(ROWS))
        assert not notes.texts
    assert {finding.level for finding in check_database(database)} == {"ok"}


@pytest.mark.parametrize("damage", [cut_off, overwrite, flip, empty])
def test_writes_go_on(database: Path, damage: Callable[[Path], set[int]]) -> None:
    valid = damage(vectors_file(database))
    with LocalIndex(database, wait=1) as index:
        collection = index.collection("images")
        collection.upsert([numbered_row(number) for number in range(1000, 1050)])
        if 0 in valid:
            assert collection.delete([row_id("/0")]) == 1
        collection.set_tags({row_id("/1010"): ["new"]})
        valid = (valid | set(range(1000, 1050))) - {0}
        assert findable_rows(collection, valid) == valid
        tagged = collection.search(
            vector_of("/1", 0, DIMENSION)[None], limit=9, filter=parse('json_contains(tags, "new")')
        )
        assert [hit.path for hit in tagged[0]] == ["/1010"]


def test_more_damage_than_a_search_can_pass_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By L2, zeros are nearer than most: they hide what is whole."""
    monkeypatch.setattr(nearest_rows, "_EXTRA_CANDIDATES", (0, 4))
    path = tmp_path / "some.db"
    with LocalIndex(path, wait=1, create=True) as index:
        index.create("images", Model(dimension=DIMENSION), "L2")
        index.collection("images").upsert([numbered_row(number) for number in range(ROWS)])
        with vectors_file(path).open("r+b") as opened:
            opened.write(bytes(120 * SLOT))
        collection = index.collection("images")
        for filter in (None, parse("width > 1")):
            (hits,) = collection.search(
                vector_of("/150", 0, DIMENSION)[None], limit=80, filter=filter
            )
            assert {hit.path for hit in hits} == {f"/{number}" for number in range(120, ROWS)}


def test_an_import_brings_back_what_was_cut_off(database: Path) -> None:
    valid = cut_off(vectors_file(database))
    with LocalIndex(database, wait=1) as index:
        collection = index.collection("images")
        rows = [numbered_row(number) for number in range(ROWS)]
        known = collection.file_signatures([row.id for row in rows])
        assert known.keys() == {row_id(f"/{number}") for number in valid}
        collection.upsert([row for row in rows if row.id not in known])
        assert collection.count() == ROWS
        assert findable_rows(collection, range(ROWS)) == set(range(ROWS))


def test_lost_vectors_take_no_rows(database: Path) -> None:
    lose(vectors_file(database))
    with LocalIndex(database, wait=1) as index:
        with pytest.raises(ClipstackError, match="is gone") as raised:
            index.collection("images").upsert([numbered_row(1000)])
        assert "clipstack collections compact images" in raised.value.hint
        assert index.collection("images").count() == ROWS
        index.create("others", Model(dimension=DIMENSION), "COSINE")
        index.collection("others").upsert([numbered_row(5)])
        assert findable_rows(index.collection("others"), [5]) == {5}


@pytest.mark.parametrize("damage", DAMAGES)
def test_check_counts_what_is_lost(database: Path, damage: Callable[[Path], set[int]]) -> None:
    assert [finding.text for finding in check_database(database) if "rows" in finding.text] == [
        f"{ROWS} rows, all with their vectors"
    ]
    file = vectors_file(database)
    valid = damage(file)
    (finding,) = [finding for finding in check_database(database) if finding.level != "ok"]
    assert (finding.level, finding.subject) == ("fail", "collection images")
    lost = "none of its 200" if damage is lose else f"{ROWS - len(valid)} of its 200"
    assert lost in finding.text
    assert (str(file) in finding.text) == (damage in (cut_off, empty, lose))
    assert "clipstack collections compact images" in finding.fix


def test_check_finds_files_that_belong_to_nothing(database: Path) -> None:
    file = vectors_file(database)
    file.with_name("1-0.f32").write_bytes(b"x" * 2_000_000)
    file.with_name("1-2.f32").write_bytes(b"")  # a compaction may be making it
    file.with_name("my own.f32").write_bytes(b"")
    (finding,) = [finding for finding in check_database(database) if finding.level != "ok"]
    assert (finding.level, finding.subject) == ("warn", "leftovers")
    assert "1 files" in finding.text
    assert "2.0 MB" in finding.text
    with LocalIndex(database, wait=1) as index:
        index.compact("images", wait=True)
        assert findable_rows(index.collection("images"), range(ROWS)) == set(range(ROWS))
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "1-1.f32",
        "1-2.f32",
        "my own.f32",
    ]
    assert {finding.level for finding in check_database(database)} == {"ok"}


def test_a_compaction_goes_on_after_one_that_was_ended(database: Path) -> None:
    file = vectors_file(database)
    file.with_name("1-2.f32").write_bytes(b"half of it")
    with LocalIndex(database, wait=1) as index:
        index.collection("images").delete([row_id(f"/{number}") for number in range(150)])
        index.compact("images", wait=True)
        assert findable_rows(index.collection("images"), range(150, ROWS)) == set(range(150, ROWS))
    assert vectors_file(database).stat().st_size == 50 * SLOT


def test_check_says_what_there_was_no_time_for(database: Path) -> None:
    texts = {finding.subject: finding.text for finding in check_database(database, seconds=0)}
    assert "no time to look at all" in texts["collection images"]
    assert f"{ROWS} rows" in texts["collection images"]
    assert f"{ROWS} rows, all with their vectors" in [
        check.text for check in check_database(database)
    ]
    left = cut_off(vectors_file(database))
    texts = {finding.subject: finding.text for finding in check_database(database, seconds=0)}
    assert f"{ROWS - len(left)} of its {ROWS} rows" in texts["collection images"]


def test_a_wrong_counter(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE collections SET row_count = 7")
    (finding,) = [finding for finding in check_database(database) if finding.level != "ok"]
    assert "counts 7 rows, but has 200" in finding.text
    with LocalIndex(database, wait=1) as index:
        index.compact("images", wait=True)
        assert index.collection("images").count() == ROWS


class TestCommands:
    """What a user reads."""

    @staticmethod
    def database_checks(ran: Ran) -> list[dict[str, str]]:
        (group,) = [group for group in ran.json["groups"] if group["name"] == "database"]
        return [check for check in group["checks"] if check["level"] != "ok"]

    @pytest.fixture(autouse=True)
    def no_docker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    def test_vectors_that_are_cut_off(self, cli: Cli, imported: Path, gallery: Path) -> None:
        file = imported.with_name("clipstack.db-vectors") / "1-1.f32"
        os.truncate(file, file.stat().st_size * 3 // 4)
        ran = cli("search", "a ring", "--limit", 100, mode="quiet")
        assert ran.code == 0
        assert len(ran.out.split()) == 30
        ran = cli("search", "a ring")
        assert f"{file} is damaged, and some pictures can't be found: `clipstack doctor`" in ran.err
        ran = cli("doctor", mode="json")
        assert ran.code == 3
        (finding,) = self.database_checks(ran)
        assert finding["level"] == "fail"
        assert finding["message"].startswith("10 of its 40 rows can't be found")
        assert "clipstack collections compact images" in finding["fix"]
        ran = cli("collections", "compact", "images")
        assert ran.code == 0
        assert "10 rows with damaged vectors were deleted; import their pictures again" in ran.err
        assert cli("import", gallery, mode="json").json["counts"]["new"] == 10
        assert not self.database_checks(cli("doctor", mode="json"))

    def test_vectors_that_are_gone(self, cli: Cli, imported: Path, gallery: Path) -> None:
        (imported.with_name("clipstack.db-vectors") / "1-1.f32").unlink()
        assert "can't be found: `clipstack doctor`" in cli("search", "a ring").err
        ran = cli("import", gallery)
        assert ran.code == 1
        assert "the file with the vectors of 'images' is gone" in ran.err
        assert "`clipstack collections compact images`, then import again" in ran.err
        assert cli("search", "a ring", "-c", "distances").out
        assert cli("collections", "compact", "images").code == 0
        assert cli("import", gallery, mode="json").json["counts"]["new"] == 40

    @pytest.mark.parametrize("kind", ["garbage", "cut off", "Milvus Lite", "newer"])
    def test_files_that_cannot_be_used(self, cli: Cli, imported: Path, kind: str) -> None:
        if kind == "garbage":
            imported.write_bytes(random.Random(1).randbytes(50_000))
        elif kind == "cut off":
            os.truncate(imported, 4096)
        else:
            if kind == "Milvus Lite":
                imported.unlink()
            with contextlib.closing(sqlite3.connect(imported)) as connection:
                newer = "PRAGMA user_version = 99"
                lite = "CREATE TABLE collection_meta (id INTEGER PRIMARY KEY)"
                connection.execute(newer if kind == "newer" else lite)
        before = imported.read_bytes()
        for line in (("search", "a ring"), ("collections", "list"), ("import", ".")):
            ran = cli(*line)
            assert ran.code == 1, ran.err
            error = next(text for text in ran.err.splitlines() if text.startswith("Error"))
            assert str(imported) in error
            assert "unexpected" not in ran.err
            assert len(ran.err.splitlines()) >= 3, "there is a hint"
        ran = cli("doctor", mode="json")
        assert ran.code == 3
        (finding,) = self.database_checks(ran)
        assert finding["level"] == "fail"
        assert finding["fix"]
        assert imported.read_bytes() == before
