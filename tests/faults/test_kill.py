"""Killed at any moment, an import run again finishes: every image once, every vector right."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clipstack.index.database import Database
from tests.material import draw
from tests.running import Cli, process

FILES = 500
KILLS = 20
BATCH = ("--batch-size", "16")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("killed"), FILES, 96)


@dataclass(frozen=True)
class Whole:
    """What an import that nobody interrupts stores, and the size of its database in bytes."""

    vectors: dict[str, np.ndarray]
    empty: int
    full: int


@pytest.fixture(scope="session")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    data = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSTACK_DATA_DIR", str(data))
        patch.setenv("CLIPSTACK_CACHE_DIR", str(data))
        assert Cli()("collections", "create", "images", "-m", "shapes").code == 0
        empty = (data / "clipstack.db").stat().st_size
        assert Cli()("import", folder, "-m", "shapes", *BATCH).code == 0
    database = data / "clipstack.db"
    return Whole(dict(_rows(database)), empty, database.stat().st_size)


def _rows(database: Path) -> Iterator[tuple[str, np.ndarray]]:
    with Database(database, wait=10) as opened:
        for row in opened.client.query(
            "images", filter="", limit=16384, output_fields=["path", "vector"]
        ):
            yield row["path"], np.asarray(row["vector"], np.float32)


def _kill_during_import(
    folder: Path, database: Path, empty: int, full: int, moment: random.Random
) -> None:
    """Start an import and kill -9 it: while it starts, or at some point of its writing.

    The moment of writing is told by the size of the database, `empty` to `full` bytes.
    """
    running = process("import", folder, "-m", "shapes", *BATCH)
    goal = moment.uniform(empty - 0.1 * full, full)
    deadline = time.monotonic() + (60 if goal > empty else moment.uniform(0, 4))
    while running.poll() is None and time.monotonic() < deadline:
        if goal > empty and database.exists() and database.stat().st_size > goal:
            time.sleep(moment.uniform(0, 0.05))
            break
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.communicate()


@pytest.mark.parametrize("seed", range(KILLS))
def test_kill_and_run_again(
    seed: int, folder: Path, whole: Whole, tmp_path: Path, cli: Cli
) -> None:
    database = tmp_path / "data" / "clipstack.db"
    _kill_during_import(folder, database, whole.empty, whole.full, random.Random(seed))
    ran = cli("import", folder, "-m", "shapes", *BATCH, mode="json")
    assert ran.code == 0, ran.err + ran.out
    counts = ran.json["counts"]
    assert counts["new"] + counts["unchanged"] == FILES, counts
    rows = list(_rows(database))
    assert len(rows) == FILES
    assert {path for path, _ in rows} == set(whole.vectors)
    worst = max(float(np.abs(vector - whole.vectors[path]).max()) for path, vector in rows)
    assert worst < 1e-4
