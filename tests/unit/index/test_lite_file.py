"""Milvus Lite's file, read without the engine: the same answers as the engine's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clipstack.errors import UnreachableError
from clipstack.index import collections
from clipstack.index.database import Database
from clipstack.index.lite_file import LiteFile, Unexpected
from clipstack.index.schema import row_id
from clipstack.index.store import Hit, Store
from tests.material import Model, row

DIMENSION = 48
RANDOM = np.random.default_rng(0)
# The bytes that stand before a vector in the file, as a path can best hold them.
MARK = '\b\x65\x12\x06vector"'
PATHS = ["/émoji 😀.jpg", f"/{MARK}x.png", "/" + "long" * 900, "/a'b\"c.png"]


def _filled(path: Path, metric: str, count: int = 300) -> tuple[np.ndarray, list[Hit]]:
    """Rows written, some of them twice, and what the engine finds for a query."""
    query = RANDOM.standard_normal(DIMENSION).astype(np.float32)
    with Database(path, wait=0) as database:
        info = collections.create(database.client, "c", Model(dimension=DIMENSION), metric)
        store = Store(database.client, info)
        names = [*PATHS, *(f"/p/{number}.jpg" for number in range(count))]
        vectors = RANDOM.standard_normal((len(names), DIMENSION)).astype(np.float32)
        rows = [
            row(name, v, taken_at=-7, size=2**40) for name, v in zip(names, vectors, strict=True)
        ]
        store.add(rows)
        store.replace([row(names[0], vectors[-1] + 1, size=3), row(names[5], -vectors[5])])
        return query, store.search(query, limit=50)


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_it_finds_what_the_engine_finds(tmp_path: Path, metric: str) -> None:
    query, expected = _filled(tmp_path / "a.db", metric)
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file:
        assert file.info.metric == metric
        for ahead in (False, True):
            if ahead:
                file.read_ahead()
            first, second = file.search_all(np.stack([query, -query]), limit=50)
            assert [hit.id for hit in first] == [hit.id for hit in expected]
            assert second[0].id != first[0].id
            for got, wanted in zip(first, expected, strict=True):
                assert got.score == pytest.approx(wanted.score, rel=1e-5, abs=1e-5)
                assert (got.path, got.size, got.taken_at, got.width, got.format, got.facts) == (
                    *(wanted.path, wanted.size, wanted.taken_at, wanted.width, wanted.format),
                    wanted.facts,
                )
        (page,) = file.search_all(query[None], limit=20, offset=10)
        assert [hit.id for hit in page] == [hit.id for hit in expected[10:30]]


def test_more_rows_than_are_held_at_once(tmp_path: Path) -> None:
    query, expected = _filled(tmp_path / "a.db", "COSINE", count=9000)
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file:
        (found,) = file.search_all(query[None], limit=50)
    assert [hit.id for hit in found] == [hit.id for hit in expected]


def test_vectors_and_a_sample_are_those_of_the_engine(tmp_path: Path) -> None:
    _filled(tmp_path / "a.db", "COSINE")
    ids = [row_id(path) for path in ("/p/3.jpg", PATHS[0], PATHS[1], "/none")]
    with Database(tmp_path / "a.db", wait=0) as database:
        store = Store(database.client, collections.get_info(database.client, "c"))
        vectors, sample = store.vectors(ids), store.sample(40)
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file:
        got = file.vectors(ids)
        assert got.keys() == vectors.keys() == set(ids[:3])
        assert all(np.array_equal(got[name], vectors[name]) for name in got)
        assert np.array_equal(file.sample(40), sample)
        assert not file.is_empty()


def test_an_empty_collection(tmp_path: Path) -> None:
    with Database(tmp_path / "a.db", wait=0) as database:
        collections.create(database.client, "c", Model(dimension=DIMENSION), "COSINE")
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file:
        assert file.is_empty()
        assert file.search_all(np.ones((1, DIMENSION), np.float32), limit=5) == [[]]
        assert file.sample(5).shape == (0, DIMENSION)


def test_what_is_left_to_the_engine(tmp_path: Path) -> None:
    _filled(tmp_path / "a.db", "COSINE", count=5)
    (tmp_path / "none.db").write_bytes(b"no database")
    for path, name in (("a.db", "other"), ("none.db", "c"), ("missing.db", "c")):
        with pytest.raises(Unexpected):
            LiteFile(tmp_path / path, name, wait=0)
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file, pytest.raises(Unexpected):
        file.search_all(np.ones((1, DIMENSION), np.float32), limit=5, expression="size > 1")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("UPDATE c SET data = x'0a00' WHERE id = 3")
    with LiteFile(tmp_path / "a.db", "c", wait=0) as file, pytest.raises(Unexpected):
        file.search_all(np.ones((1, DIMENSION), np.float32), limit=5)


def test_many_read_and_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _filled(path, "COSINE", count=5)
    reader = (
        "import sys; from pathlib import Path; from clipstack.index.lite_file import LiteFile\n"
        "with LiteFile(Path(sys.argv[1]), 'c', wait=0): print('in', flush=True); input()"
    )
    line = [sys.executable, "-c", reader, str(path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with LiteFile(path, "c", wait=0) as file:
            assert not file.is_empty()
        with pytest.raises(UnreachableError):
            Database(path, wait=0)
        other.communicate("\n")
    with Database(path, wait=5), pytest.raises(UnreachableError):
        LiteFile(path, "c", wait=0)
