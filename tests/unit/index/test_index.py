"""The index on a real Milvus Lite: rows in, hits out, one engine at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipstack.errors import ClipstackError, UsageError
from clipstack.index import collections
from clipstack.index.database import Database
from clipstack.index.schema import row_id
from clipstack.index.store import Known, Store, under_filter
from tests.material import Model, row


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "test.db", wait=0) as opened:
        yield opened


def _store(database: Database, metric: str = "COSINE") -> Store:
    info = collections.create(database.client, f"c_{metric}", Model(), metric)
    return Store(database.client, info)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("COSINE", [("/same", 1.0), ("/longer", 1.0), ("/across", 0.0), ("/against", -1.0)]),
        ("IP", [("/longer", 3.0), ("/same", 1.0), ("/across", 0.0), ("/against", -1.0)]),
        ("L2", [("/same", 0.0), ("/across", 2.0), ("/longer", 4.0), ("/against", 4.0)]),
    ],
)
def test_scores_are_milvus_own(
    database: Database, metric: str, expected: list[tuple[str, float]]
) -> None:
    store = _store(database, metric)
    store.add(
        [
            row("/same", [1, 0, 0, 0]),
            row("/longer", [3, 0, 0, 0]),
            row("/across", [0, 1, 0, 0]),
            row("/against", [-1, 0, 0, 0]),
        ]
    )
    hits = store.search(np.asarray([1, 0, 0, 0], np.float32), limit=10)
    assert sorted((h.path, round(h.score, 5)) for h in hits) == sorted(expected)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=metric != "L2")


def test_vectors_are_kept_as_they_are(database: Database) -> None:
    store = _store(database)
    vector = [12.5, -3.25, 0.0, 1e-8]
    store.add([row("/a", vector)])
    kept = store.vectors_by_digest(["d/a", "unknown"])
    assert list(kept) == ["d/a"]
    assert kept["d/a"].tolist() == np.asarray(vector, np.float32).tolist()


def test_known_and_replaced_rows(database: Database) -> None:
    store = _store(database)
    paths = [f"/pictures/{number}" for number in range(2500)]
    store.add([row(path, [1, 2, 3, 4]) for path in paths])
    ids = [row_id(path) for path in paths]
    known = store.known([*ids, row_id("/other")])
    assert len(known) == 2500
    assert known[ids[7]] == Known(1, 2**60 + 1, "d/pictures/7")
    store.replace([row(paths[7], [9, 9, 9, 9], size=77)])
    assert store.known(ids)[ids[7]].size == 77
    assert collections.count(database.client, store.info.name) == 2500


@pytest.mark.parametrize(
    "folder",
    ["/a", "/a b", "/50%", "/un_der", 'q"uote', "/back\\slash", "/[x]{y}", "/émoji 😀", "/"],
)
def test_under_means_below_and_nothing_else(database: Database, folder: str) -> None:
    store = _store(database)
    inside = [f"{folder.rstrip('/')}/{name}" for name in ("x.jpg", "deep/y.jpg")]
    outside = [f"{folder}x/z.jpg", "/unXder/z.jpg", "/50x/z.jpg", f"{folder}.jpg", "relative"]
    if folder == "/":
        inside, outside = [*inside, *outside[1:3]], ["relative"]
    store.add([row(path, [1, 0, 0, 0]) for path in {*inside, *outside}])
    hits = store.search(np.ones(4, np.float32), limit=100, expression=under_filter(folder))
    assert sorted(hit.path for hit in hits) == sorted(set(inside))


def test_control_characters_under(database: Database) -> None:
    with pytest.raises(UsageError):
        _store(database).search(
            np.ones(4, np.float32), limit=1, expression=under_filter("/new\nline")
        )


def test_a_collection_refuses_another_fingerprint(database: Database) -> None:
    info = _store(database).info
    collections.require_same_model(collections.get_info(database.client, info.name), Model())
    with pytest.raises(ClipstackError, match="other weights") as same_name:
        collections.require_same_model(info, Model(fingerprint="beef"))
    assert "drop" in same_name.value.hint
    with pytest.raises(ClipstackError, match="not of 'other'") as other:
        collections.require_same_model(info, Model(name="other", fingerprint="beef"))
    assert "--model some/model" in other.value.hint


def test_rename_that_fails_leaves_the_old_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(database)
    store.add([row(f"/{number}", [1, 0, 0, 0]) for number in range(10)])

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(database.client, "insert", full)
    with pytest.raises(OSError, match="disk full"):
        collections.rename(database.client, store.info.name, "other")
    assert [one.name for one in collections.list_all(database.client)] == [store.info.name]
    assert collections.count(database.client, store.info.name) == 10


def test_it_answers_after_half_a_minute_of_silence(database: Database) -> None:
    """As while a model is prepared, or on a page that nobody looks at."""
    store = _store(database)
    paths = [f"/{number}" for number in range(2500)]
    store.add([row(path, [1, 2, 3, 4]) for path in paths])
    time.sleep(31)
    assert len(store.known([row_id(path) for path in paths])) == 2500
    store.add([row("/other", [1, 2, 3, 4])])
    assert collections.count(database.client, store.info.name) == 2501


def _engines(path: Path) -> int:
    shown = subprocess.run(["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True)
    lines = [line for line in shown.stdout.splitlines() if f"milvus {path} unix:" in line]
    return sum(not line.startswith("Z") for line in lines)


def test_the_engine_of_a_killed_process_is_gone_before_the_next_starts(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    program = (
        "import pathlib, time\n"
        "from clipstack.index.database import Database\n"
        f"database = Database(pathlib.Path({str(path)!r}), wait=0)\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    for _ in range(3):
        holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        assert _engines(path) == 1
        os.kill(holder.pid, signal.SIGKILL)
        with Database(path, wait=5):
            assert _engines(path) == 1
        assert _engines(path) == 0
        holder.communicate()


def test_engines_on_different_files_start_side_by_side(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from clipstack.index.database import Database\n"
        "with Database(pathlib.Path(sys.argv[1]), wait=0) as database:\n"
        "    database.client.create_collection('c', dimension=4)\n"
        "    print(database.client.list_collections())\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / f"{number}.db")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(6)
    ]
    assert [one.communicate(timeout=120)[0] for one in running] == ["['c']\n"] * 6
