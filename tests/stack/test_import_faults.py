"""Services that go away in the middle of an import: it waits, says so, and every image is there
once; or it stops with the reason, and running it again finishes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipstack.index.milvus.index import MilvusIndex
from tests.material import draw
from tests.running import Ran, process
from tests.stack.stacks import Stack, wait_until_healthy

FILES = 2000
BEGUN = 300


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), FILES, 32)


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> Iterator[None]:
    """What a test stops is running again for the next."""
    yield
    for service in ("etcd", "minio", "milvus", "bentoml"):
        state = stack.docker("inspect", service, "-f", "{{.State.Status}}")
        if state == "paused":
            stack.docker("unpause", service)
        elif state != "running":
            stack.docker("start", service)
    started = {
        service: stack.docker("inspect", service, "-f", "{{.State.StartedAt}}")
        for service in ("etcd", "milvus")
    }
    if started["etcd"] > started["milvus"]:
        # Milvus 2.3 may find its own parts no more, minutes after etcd was away.
        stack.docker("restart", "milvus")
    wait_until_healthy(stack, "etcd", "minio", "milvus", "bentoml")


@dataclass
class Running:
    """An import as a process; what it says on stderr is in a file from the first word on."""

    popen: subprocess.Popen[str]
    log: Path

    @property
    def stderr(self) -> str:
        return self.log.read_text()

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not is_so():
            assert self.popen.poll() is None, f"it ended too early: {self.stderr}"
            assert time.monotonic() < until, self.stderr
            time.sleep(0.2)

    def end(self, seconds: float = 240) -> Ran:
        out, _ = self.popen.communicate(timeout=seconds)
        return Ran(self.popen.returncode, out, self.stderr)


@contextmanager
def importing(stack: Stack, pictures: Path, name: str, *more: str) -> Iterator[Running]:
    """An import into a new collection, of which some rows are there already."""
    log = stack.folder / f"{name}.log"
    line = ("import", pictures, "-c", name, "--target", "stack", "--json", *more)
    with log.open("w") as err:
        popen = process(*line, env=stack.environment, cwd=stack.folder, stderr=err)
    running = Running(popen, log)
    try:
        running.wait_until(lambda: _rows(stack, name) > BEGUN)
        yield running
    finally:
        popen.kill()
        popen.wait()


def _rows(stack: Stack, name: str) -> int:
    with _index(stack) as index:
        return index.collection(name).count() if index.exists(name) else 0


def _index(stack: Stack) -> MilvusIndex:
    return MilvusIndex(f"http://127.0.0.1:{stack.port('MILVUS')}", wait=120)


def assert_every_image_once(stack: Stack, pictures: Path, name: str) -> None:
    with _index(stack) as index:
        collection = index.collection(name)
        assert collection.count() == FILES
        rows = [row for batch in collection.rows() for row in batch]
        assert len(rows) == FILES
        assert len({row.id for row in rows}) == FILES
        assert {row.path for row in rows} == {str(path) for path in pictures.iterdir()}
        index.drop(name)


def finish(stack: Stack, pictures: Path, name: str) -> None:
    """Run it again: the rest is imported, and nothing twice."""
    ran = stack.clipstack("import", pictures, "-c", name, "--target", "stack", "--json")
    assert ran.code == 0, ran.err + ran.out
    counts = ran.json["counts"]
    assert counts["new"] + counts["unchanged"] == FILES
    assert counts["unchanged"] >= BEGUN, "what was imported before stayed"
    assert_every_image_once(stack, pictures, name)


def test_milvus_is_killed_and_comes_back(stack: Stack, pictures: Path) -> None:
    with importing(stack, pictures, "milvus_killed") as running:
        stack.docker("kill", "milvus")
        running.wait_until(lambda: "no Milvus answers" in running.stderr)
        stack.docker("start", "milvus")
        ran = running.end()
    assert ran.code == 0, ran.err + ran.out
    assert ran.json["counts"]["new"] == FILES
    assert "waiting up to" in ran.err
    assert "is back after" in ran.err
    assert_every_image_once(stack, pictures, "milvus_killed")


def test_the_encoder_is_killed_and_comes_back(stack: Stack, pictures: Path) -> None:
    with importing(stack, pictures, "encoder_killed") as running:
        stack.docker("kill", "bentoml")
        running.wait_until(lambda: "can be reached" in running.stderr)
        stack.docker("start", "bentoml")
        ran = running.end()
    assert ran.code == 0, ran.err + ran.out
    assert ran.json["encoded"] == FILES
    assert ran.err.count("waiting up to") == 1, "one line when it begins, one when it ends"
    assert ran.err.count("is back after") == 1
    assert_every_image_once(stack, pictures, "encoder_killed")


def test_milvus_restarts_then_etcd_and_the_object_store_is_paused(
    stack: Stack, pictures: Path
) -> None:
    """Of etcd and the object store, Milvus may need neither just now: what counts is the end."""
    with importing(stack, pictures, "many_faults") as running:
        stack.docker("restart", "etcd")
        stack.docker("pause", "minio")
        paused = time.monotonic()
        stack.docker("restart", "milvus")
        while time.monotonic() < paused + 20:
            time.sleep(0.5)
        stack.docker("unpause", "minio")
        ran = running.end()
    assert ran.code == 0, ran.err + ran.out
    assert_every_image_once(stack, pictures, "many_faults")


@pytest.mark.parametrize("service", ["milvus", "bentoml"])
def test_a_service_that_stays_away(stack: Stack, pictures: Path, service: str) -> None:
    name = f"{service}_away"
    with importing(stack, pictures, name, "--patience", "5") as running:
        stack.docker("kill", service)
        ran = running.end(90)
    assert ran.code == 5, ran.err + ran.out
    error = ran.json["error"]
    assert {"milvus": "Milvus at", "bentoml": "encoder at"}[service] in error["message"]
    assert ": away for " in error["message"]
    assert "What is imported stays" in error["hint"]
    assert "clipstack health" in error["hint"]
    assert "Traceback" not in ran.err
    stack.docker("start", service)
    wait_until_healthy(stack, service)
    finish(stack, pictures, name)


@pytest.mark.parametrize("service", ["milvus", "bentoml"])
def test_ctrl_c_ends_a_wait(stack: Stack, pictures: Path, service: str) -> None:
    """Also where the service takes the request and never answers."""
    name = f"{service}_interrupted"
    with importing(stack, pictures, name) as running:
        stack.docker("pause", service)
        time.sleep(3)
        running.popen.send_signal(signal.SIGINT)
        ran = running.end(20)
        stack.docker("unpause", service)
    assert ran.code == 130, ran.err + ran.out
    assert json.loads(ran.out)["interrupted"]
    assert "Traceback" not in ran.err
    assert BEGUN < _rows(stack, name) < FILES
