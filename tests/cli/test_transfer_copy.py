"""`clipstack collections copy` on this machine; exports and imports cut off, and their memory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipstack.index.local.index import LocalIndex
from tests.exchange import MODEL, fill, stored, varied_rows
from tests.running import Cli, Ran, process

ENDINGS = ("parquet", "npz")


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with 200 varied rows in `images`, which compares by L2."""
    path = tmp_path / "data" / "clipstack.db"
    fill(path, varied_rows(200), metric="L2")
    return path


def copy(cli: Cli, *more: object) -> dict[str, Any]:
    return ok(cli("collections", "copy", "images", "--to", "embedded", *more, mode="json")).json


def test_a_copy_and_what_changes_afterwards(cli: Cli, database: Path) -> None:
    counts = copy(cli, "--as", "copy")["counts"]
    assert counts == {"new": 200, "changed": 0, "unchanged": 0}
    assert stored(database, "copy") == stored(database)
    assert copy(cli, "--as", "copy")["counts"] == {"new": 0, "changed": 0, "unchanged": 200}

    rows = varied_rows(210)
    with LocalIndex(database, wait=10) as index:
        images = index.collection("images")
        images.upsert(rows[200:])
        changed = replace(rows[0], vector=rows[0].vector + 1)
        images.upsert([changed, replace(rows[1], facts=rows[1].facts | {"title": "new"})])
        images.set_tags({rows[2].id: [], rows[3].id: ["more"]})
    counts = copy(cli, "--as", "copy")["counts"]
    assert counts == {"new": 10, "changed": 4, "unchanged": 196}
    assert stored(database, "copy") == stored(database)


def test_a_copy_leaves_other_rows_alone(cli: Cli, database: Path) -> None:
    more = varied_rows(20, start=5000)
    fill(database, more, "copy", metric="L2")
    assert copy(cli, "--as", "copy")["counts"]["new"] == 200
    rows = stored(database, "copy")
    assert len(rows) == 220
    assert {row.id for row in more} <= set(rows)


def test_damaged_rows_are_left_out_of_a_copy_and_counted(cli: Cli, database: Path) -> None:
    whole = stored(database)
    (vectors,) = database.with_name("clipstack.db-vectors").iterdir()
    size = vectors.stat().st_size
    os.truncate(vectors, size - 3 * size // 200)
    ran = cli("collections", "copy", "images", "--to", "embedded", "--as", "copy", mode="json")
    assert (ran.code, ran.json["missing"]) == (7, 3), ran.err
    rows = stored(database, "copy")
    assert len(rows) == 197
    assert rows.items() <= whole.items()


def test_an_alias_can_be_copied(cli: Cli, database: Path) -> None:
    ok(cli("collections", "alias", "images", "current"))
    ran = cli("collections", "copy", "current", "--to", "embedded")
    assert (ran.code, "onto itself" in ran.err) == (2, True)
    ran = cli("collections", "copy", "images", "--to", "embedded", "--as", "current")
    assert (ran.code, "onto itself" in ran.err) == (2, True)
    ok(cli("collections", "copy", "current", "--to", "embedded", "--as", "copy"))
    assert stored(database, "copy") == stored(database)


LARGE = replace(MODEL, dimension=256)
MANY = 20_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of many rows."""
    path = tmp_path_factory.mktemp("many") / "clipstack.db"
    fill(path, varied_rows(MANY, LARGE.dimension), model=LARGE)
    return path


def test_ctrl_c_keeps_what_is_copied(cli: Cli, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    with LocalIndex(many, wait=10) as index:
        running = process("collections", "copy", "images", "--to", "embedded", "--as", "stopped")
        until = time.monotonic() + 60
        while not index.exists("stopped") and time.monotonic() < until:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "run it again" in err
        assert index.describe("stopped").rows < MANY
        ok(cli("collections", "copy", "images", "--to", "embedded", "--as", "stopped"))
        assert index.describe("stopped").rows == MANY
        index.drop("stopped")


def test_ctrl_c_of_an_export_leaves_nothing(
    cli: Cli, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    running = process("collections", "export", "images", tmp_path / "x.npz")
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".x.npz.*")) and time.monotonic() < until:
        time.sleep(0.001)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, "interrupted" in err) == (130, True), err
    assert [path.name for path in tmp_path.iterdir() if "x.npz" in path.name] == []


def test_an_export_that_does_not_fit_leaves_nothing(database: Path, tmp_path: Path) -> None:
    fill(database, varied_rows(500, 512), "large", model=replace(MODEL, dimension=512))
    for ending in ENDINGS:
        running = process(
            *("collections", "export", "large", tmp_path / f"x.{ending}"),
            preexec_fn=lambda: _no_file_over(200_000),
        )
        _, err = running.communicate(timeout=60)
        assert (running.returncode, "can't be written" in err) == (1, True), err
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".x", "x"))]


def _no_file_over(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_killed_export_leaves_no_half_file(
    cli: Cli, many: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    file = tmp_path / f"x.{ending}"
    for seconds in (0.3, 0.5, 0.7, 0.9, 1.1):
        running = process("collections", "export", "images", file, "--yes")
        time.sleep(seconds)
        running.kill()
        running.communicate()
        if file.exists():
            done = ok(cli("collections", "import", file, "-c", "again", mode="json")).json
            assert done["imported"] == MANY
            file.unlink()
            ok(cli("collections", "drop", "again", "--yes"))


def test_rows_added_during_a_copy_are_copied_too(
    cli: Cli, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    with LocalIndex(many, wait=60) as index:
        running = process("collections", "copy", "images", "--to", "embedded", "--as", "followed")
        until = time.monotonic() + 60
        while not index.exists("followed") and time.monotonic() < until:
            time.sleep(0.01)
        added = varied_rows(10, LARGE.dimension, start=10**6)
        index.collection("images").upsert(added)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
    assert stored(many, "followed") == stored(many)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks: dict[str, list[int]] = {}
    wide = replace(MODEL, dimension=1024)
    for count in (30_000, 60_000):  # vectors of 120 MiB and 240 MiB; a write has 64 MiB
        database = tmp_path / f"{count}.db"
        fill(database, varied_rows(count, 1024), model=wide)
        for ending in ENDINGS:
            file = tmp_path / f"{count}.{ending}"
            for line in (["export", "images", file], ["import", file, "-c", ending]):
                peak = _private_peak({"CLIPSTACK_DATABASE": str(database)}, *line)
                peaks.setdefault(f"{line[0]} {ending}", []).append(peak)
    assert all(large < small + 60 for small, large in peaks.values()), peaks


def _private_peak(world: dict[str, str], *args: object) -> int:
    """The most private memory a command has at any moment, in MiB."""
    running = process("collections", *args, env=os.environ | world, stdout=subprocess.DEVNULL)
    peak = 0
    while running.poll() is None:
        status = Path(f"/proc/{running.pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith("RssAnon"):
                peak = max(peak, int(line.split()[1]) // 1024)
        time.sleep(0.005)
    assert running.communicate()[1] is not None
    assert running.returncode == 0
    return peak
