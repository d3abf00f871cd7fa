"""Killed at any moment, an import run again finishes: every image once, every vector right."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipstack.errors import ClipstackError
from clipstack.index.local.index import LocalIndex
from tests.faults.kills import Soak
from tests.material import draw
from tests.running import Cli, process

FILES = 500
KILLS = 20
BATCH = ("--batch-size", "16")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("killed"), FILES, 96)


@pytest.fixture(scope="session")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """By path, the vectors that an import stores when nobody interrupts it."""
    data = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSTACK_DATA_DIR", str(data))
        patch.setenv("CLIPSTACK_CACHE_DIR", str(data))
        assert Cli()("import", folder, "-m", "shapes", *BATCH).code == 0
    return dict(_rows(data / "clipstack.db"))


def _rows(database: Path) -> Iterator[tuple[str, np.ndarray]]:
    with LocalIndex(database, wait=10) as index:
        for rows in index.collection("images").rows():
            yield from ((row.path, row.vector) for row in rows)


def _count(database: Path) -> int:
    """Rows of a database that another process is making."""
    try:
        with LocalIndex(database, wait=10) as index:
            return index.describe("images").rows
    except ClipstackError:
        return 0


def _kill_during_import(folder: Path, database: Path, moment: random.Random) -> None:
    """Start an import and kill -9 it: while it starts, or when it has written some rows."""
    running = process("import", folder, "-m", "shapes", *BATCH)
    goal = moment.uniform(-0.1 * FILES, FILES)
    deadline = time.monotonic() + (60 if goal > 0 else moment.uniform(0, 4))
    while running.poll() is None and time.monotonic() < deadline:
        if goal > 0 and _count(database) > goal:
            time.sleep(moment.uniform(0, 0.05))
            break
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.communicate()


@pytest.mark.parametrize("seed", range(KILLS))
def test_kill_and_run_again(
    seed: int, folder: Path, whole: dict[str, np.ndarray], tmp_path: Path, cli: Cli
) -> None:
    database = tmp_path / "data" / "clipstack.db"
    _kill_during_import(folder, database, random.Random(seed))
    ran = cli("import", folder, "-m", "shapes", *BATCH, mode="json")
    assert ran.code == 0, ran.err + ran.out
    counts = ran.json["counts"]
    assert counts["new"] + counts["unchanged"] == FILES, counts
    rows = list(_rows(database))
    assert len(rows) == FILES
    assert {path for path, _ in rows} == set(whole)
    worst = max(float(np.abs(vector - whole[path]).max()) for path, vector in rows)
    assert worst < 1e-4


def test_kills_of_everything_that_writes(tmp_path: Path) -> None:
    """Changes of every kind, compactions and copies; `scripts/kill_soak.py` does more of them."""
    assert Soak(tmp_path / "soak", seed=3).run(6).total() == 6
