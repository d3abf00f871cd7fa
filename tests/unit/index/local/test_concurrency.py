"""Processes that read and write at once: no error, no waiting, and every answer is right."""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from clipstack.index.base import Collection, Hit
from clipstack.index.filters.parse import parse
from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from clipstack.index.schema import Row, row_id
from tests.faults.workload import row_of, vector_of
from tests.local_index import in_process
from tests.material import Model, draw
from tests.notes import Notes
from tests.running import process

DIMENSION = 4
STEADY = [f"/steady/{number}" for number in range(300)]
ROUNDS = 150
METRIC = "L2"


def versioned(path: str, version: int) -> Row:
    """A row at a version, which is told by its size."""
    return row_of(path, version, DIMENSION, size=version)


def distance(path: str, version: int, query: np.ndarray) -> float:
    """The score of a row at a version."""
    apart = vector_of(path, version, DIMENSION).astype(np.float64) - query.astype(np.float64)
    return float(np.float32(apart @ apart))


def replace(path: str, name: str) -> None:
    """Replace and delete rows, round after round; print how they are at the end.

    Steady rows are replaced by themselves: they get another slot, and are found all the while.
    """
    rng = random.Random(name)
    paths = [f"/{name}/{number}" for number in range(60)]
    versions: dict[str, int] = {}
    with LocalIndex(Path(path), wait=60) as index:
        collection = index.collection("images")
        for version in range(1, ROUNDS + 1):
            sample = rng.sample(paths, 25)
            collection.upsert([versioned(path, version) for path in sample])
            versions |= dict.fromkeys(sample, version)
            collection.upsert([versioned(path, 0) for path in rng.sample(STEADY, 20)])
            deleted = rng.sample(paths, 8)
            assert collection.delete([row_id(path) for path in deleted]) == len(
                versions.keys() & deleted
            )
            for path in deleted:
                versions.pop(path, None)
            if version % 10 == 0:
                collection.set_tags({row_id(path): [f"v{version}"] for path in paths})
    print(json.dumps(versions))


def compact(path: str) -> None:
    """Compact until the file `done` is there; print how often."""
    rounds = 0
    with LocalIndex(Path(path), wait=60) as index:
        while not Path(path).with_name("done").exists():
            index.compact("images", wait=True)
            rounds += 1
            time.sleep(0.01)
    print(rounds)


def search(path: str, seed: str) -> None:
    """Search until the file `done` is there; print how often. Each answer is looked at."""
    rng = np.random.default_rng(int(seed))
    searches = 0
    with LocalIndex(Path(path), wait=60) as index:
        notes = Notes()
        collection = index.collection("images", events=notes)
        while not Path(path).with_name("done").exists():
            queries = rng.standard_normal((3, DIMENSION)).astype(np.float32)
            limit = int(rng.integers(1, 200))
            for query, hits in zip(queries, collection.search(queries, limit=limit), strict=True):
                require_right(query, hits, limit)
            filter = parse('path like "/steady/%"')
            (hits,) = collection.search(queries[:1], limit=limit, filter=filter)
            assert [hit.path for hit in hits] == nearest_steady(queries[0])[:limit]
            searches += 4
            if searches % 40 == 0:
                require_readable(collection)
        assert not notes.texts, notes.texts
    print(searches)


def nearest_steady(query: np.ndarray) -> list[str]:
    """The rows whose vectors never change, nearest first."""
    return sorted(STEADY, key=lambda path: (distance(path, 0, query), row_id(path)))


def require_right(query: np.ndarray, hits: list[Hit], limit: int) -> None:
    """Each hit has the score of one of its row's vectors, and no steady row is passed over."""
    assert len(hits) == limit
    assert len({hit.id for hit in hits}) == limit
    assert [hit.score for hit in hits] == sorted(hit.score for hit in hits)
    for hit in hits:
        assert hit.score == pytest.approx(distance(hit.path, hit.size, query), rel=1e-6), hit
    steady = [hit.path for hit in hits if hit.path.startswith("/steady/")]
    nearest = nearest_steady(query)
    assert steady == nearest[: len(steady)]
    left_out = nearest[len(steady)]
    assert distance(left_out, 0, query) >= hits[-1].score - 1e-6, left_out


def require_readable(collection: Collection) -> None:
    """Whoever reads all rows gets each steady row once, and vectors that go with their rows."""
    rows = [row for batch in collection.rows() for row in batch]
    steady = [row.path for row in rows if row.path.startswith("/steady/")]
    assert sorted(steady) == sorted(STEADY)
    for row in rows:
        assert np.array_equal(row.vector, vector_of(row.path, row.size, DIMENSION)), row.path
    vectors = collection.vectors([row_id(path) for path in STEADY])
    assert len(vectors) == len(STEADY)
    assert len(collection.sample(100)) == 100
    assert len(collection.file_signatures([row_id(path) for path in STEADY])) == len(STEADY)


def test_searches_beside_writers_and_compactions(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with LocalIndex(path, wait=10, create=True) as index:
        index.create("images", Model(dimension=DIMENSION), METRIC)
        index.collection("images").upsert([versioned(path, 0) for path in STEADY])
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(in_process, replace, path, name) for name in ("one", "two")]
        readers = [pool.submit(in_process, search, path, seed) for seed in (1, 2)]
        readers.append(pool.submit(in_process, compact, path))
        try:
            written = {}
            for writer in writers:
                written |= json.loads(writer.result())
        finally:
            (tmp_path / "done").touch()
        counts = [int(other.result()) for other in readers]
    assert min(counts) >= 1, counts
    with LocalIndex(path, wait=10) as index:
        rows = [row for batch in index.collection("images").rows() for row in batch]
        assert {row.path: row.size for row in rows} == written | dict.fromkeys(STEADY, 0)
        assert index.collection("images").count() == len(rows)
        index.compact("images", wait=True)
    assert {finding.level for finding in check_database(path)} == {"ok"}


def make(path: str, name: str) -> None:
    """Open a database that may not be there yet, and write a row to a collection of its own."""
    start = float(os.environ["START"])
    time.sleep(max(0.0, start - time.time()))
    with LocalIndex(Path(path), wait=60, create=True) as index:
        index.create(name, Model(dimension=DIMENSION), METRIC)
        index.collection(name).upsert([versioned(name, 1)])
    print("made")


def test_a_database_made_by_several_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"images_{number}" for number in range(6)]
    monkeypatch.setenv("START", str(time.time() + 3))
    path = tmp_path / "new" / "folder" / "some.db"
    with ThreadPoolExecutor() as pool:
        makers = [pool.submit(in_process, make, path, name) for name in names]
    assert [maker.result() for maker in makers] == ["made\n"] * len(names)
    with LocalIndex(path, wait=1) as index:
        assert index.names() == names
        assert [index.collection(name).count() for name in names] == [1] * len(names)
    assert {finding.level for finding in check_database(path)} == {"ok"}


def test_two_imports_at_once_beside_searches(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        draw(folder, 150, 32)
    importers = [
        process("import", folder, folders[0], "-m", "shapes", "--batch-size", "8", "--json")
        for folder in folders
    ]
    database = tmp_path / "data" / "clipstack.db"
    answers = []
    while any(importer.poll() is None for importer in importers):
        if database.exists():
            found = process("search", "a ring", "--limit", "5", "-q")
            out, err = found.communicate()
            assert found.returncode in (0, 1, 6), err
            assert "unexpected" not in err, err
            answers.append(found.returncode)
    for importer in importers:
        out, err = importer.communicate()
        assert importer.returncode == 0, err
        assert '"failed": 0' in out
    assert 0 in answers
    with LocalIndex(database, wait=1) as index:
        assert index.collection("images").count() == 300
    assert {finding.level for finding in check_database(database)} == {"ok"}
