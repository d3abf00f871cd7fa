"""Rows between this machine, files and a real Milvus server: nothing lost, nothing changed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from clipstack.index.local.index import LocalIndex
from clipstack.index.milvus.index import MilvusIndex
from tests.exchange import MODEL, content, fill, stored, varied_rows
from tests.running import Cli, Ran, process
from tests.stack.stacks import Stack

KILLS = 10
FIRST = 20_000


@pytest.fixture
def server(stack: Stack) -> Iterator[MilvusIndex]:
    """Connected, and without any collection afterwards."""
    with MilvusIndex(f"http://127.0.0.1:{stack.port('MILVUS')}", wait=60) as opened:
        yield opened
        for name in opened.names():
            opened.drop(name)


@pytest.fixture
def cli(stack: Stack, server: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line in this process, whose target `stack` is that server."""
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    return Cli()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where commands have the embedded target."""
    return tmp_path / "data" / "clipstack.db"


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def copy(cli: Cli, *args: object) -> dict[str, Any]:
    done: dict[str, Any] = ok(cli("collections", "copy", *args, mode="json")).json
    return done


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_rows_go_around_the_world(
    cli: Cli, server: MilvusIndex, database: Path, tmp_path: Path, ending: str, metric: str
) -> None:
    first, last = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
    fill(database, varied_rows(700), metric=metric)
    ok(cli("collections", "export", "images", first))
    ok(cli("collections", "import", first, "-c", "second"))
    assert copy(cli, "second", "--to", "stack", "--as", "third")["to"]["created"]
    assert server.info("third").metric == metric
    assert content(server, "third") == stored(database)
    ok(cli("collections", "export", "third", last, "--target", "stack"))
    ok(cli("collections", "drop", "images", "--yes"))
    counts = copy(cli, "third", "--target", "stack", "--to", "embedded", "--as", "images")["counts"]
    assert counts == {"new": 700, "changed": 0, "unchanged": 0}
    assert stored(database) == stored(database, "second")
    if ending == "parquet":
        assert pq.read_table(last).equals(pq.read_table(first))


def test_a_file_comes_into_a_server(
    cli: Cli, server: MilvusIndex, database: Path, tmp_path: Path
) -> None:
    fill(database, varied_rows(300))
    ok(cli("collections", "export", "images", tmp_path / "x.parquet"))
    ok(cli("collections", "import", tmp_path / "x.parquet", "--target", "stack"))
    ok(cli("collections", "import", tmp_path / "x.parquet", "--target", "stack"))
    assert content(server, "images") == stored(database)


def test_a_finished_copy_changes_nothing_and_a_changed_one_what_changed(
    cli: Cli, server: MilvusIndex, database: Path
) -> None:
    rows = varied_rows(310)
    fill(database, rows[:300])
    copy(cli, "images", "--to", "stack")
    counts = copy(cli, "images", "--to", "stack")["counts"]
    assert counts == {"new": 0, "changed": 0, "unchanged": 300}
    with LocalIndex(database, wait=10) as index:
        images = index.collection("images")
        images.upsert(rows[300:])
        images.upsert([replace(rows[5], vector=rows[5].vector * 2)])
        images.set_tags({rows[2].id: [], rows[3].id: ["more"]})
    counts = copy(cli, "images", "--to", "stack")["counts"]
    assert counts == {"new": 10, "changed": 3, "unchanged": 297}
    assert content(server, "images") == stored(database)


def test_a_server_is_copied_within_and_to_a_target_without_a_name(
    cli: Cli, server: MilvusIndex, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, varied_rows(100))
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", server.location)
    copy(cli, "images", "--target", "embedded", "--to", "remote")
    copy(cli, "images", "--target", "remote", "--to", "stack", "--as", "again")
    server.set_alias("again", "current")
    ran = cli(
        "collections", "copy", "again", "--target", "stack", "--to", "stack", "--as", "current"
    )
    assert (ran.code, "onto itself" in ran.err) == (2, True)
    assert content(server, "images") == content(server, "again") == stored(database)


def test_vectors_of_another_model_are_refused(
    cli: Cli, server: MilvusIndex, database: Path
) -> None:
    server.create("images", replace(MODEL, fingerprint="beef"), "COSINE")
    fill(database, varied_rows(5))
    ran = cli("collections", "copy", "images", "--to", "stack")
    assert (ran.code, "can't be compared" in ran.err) == (1, True)
    assert server.describe("images").rows == 0


@pytest.mark.parametrize("to", ["stack", "embedded"])
def test_a_copy_killed_again_and_again(
    cli: Cli, server: MilvusIndex, database: Path, to: str
) -> None:
    moment = random.Random(to)
    wide = replace(MODEL, dimension=512)
    rows = varied_rows(FIRST + 10 * KILLS, wide.dimension)
    fill(database, rows[:FIRST], model=wide)
    line = ["copy", "images", "--to", to, "--as", "copy"]
    if to == "embedded":
        copy(cli, "images", "--to", "stack")
        line += ["--target", "stack"]
    stopped = 0
    for number in range(KILLS):
        running = process("collections", *line)
        time.sleep(moment.uniform(0.3, 4) + number)  # the last ones late enough to copy some
        running.send_signal(signal.SIGKILL)
        stopped += running.wait() == -signal.SIGKILL
        more = rows[FIRST + 10 * number : FIRST + 10 + 10 * number]
        if to == "embedded":
            server.collection("images").upsert(more)
        else:
            with LocalIndex(database, wait=60) as index:
                index.collection("images").upsert(more)
    assert stopped
    done = ok(cli("collections", *line, mode="json")).json["counts"]
    assert done["changed"] == 0, "what was copied before was whole"
    assert done["unchanged"], "and stayed"
    assert sum(done.values()) == len(rows)
    assert copy(cli, *line[1:])["counts"] == {"new": 0, "changed": 0, "unchanged": len(rows)}
    there = content(server, "copy") if to == "stack" else stored(database, "copy")
    here = stored(database) if to == "stack" else content(server, "images")
    assert len(there) == len(rows)
    assert there == here
