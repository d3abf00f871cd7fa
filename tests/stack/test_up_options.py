"""`up` with a deadline, with services to wait for, with the user's override, and `up --print`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.stacks import SERVICES, Stack, docker, removed

pytestmark = pytest.mark.usefixtures("stack_images")
OVERRIDE = """
services:
  etcd:
    environment:
      MINE: "yes"
    volumes: ["./extra:/extra"]
  web:
    image: clipstack-test/etcd:3.5.16
    entrypoint: [sleep, "1000"]
"""


@pytest.fixture(scope="module")
def running(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that others reach, which `up --wait-for` started."""
    address = {"CLIPSTACK_BIND_ADDRESS": "0.0.0.0"}
    with removed(Stack(tmp_path_factory.mktemp("o"), "clipstack-test-options", address)) as stack:
        ran = stack.clipstack("up", "--wait-for", "milvus", "--json")
        assert ran.code == 0, ran.out + ran.err
        stack.first = ran  # type: ignore[attr-defined]
        yield stack


def test_only_what_is_named_is_waited_for_and_tested(running: Stack) -> None:
    first = running.first.json  # type: ignore[attr-defined]
    states = {service["name"]: service["health"] for service in first["services"]}
    assert list(states) == list(SERVICES), "the others are started all the same"
    assert states["milvus"] == "healthy"
    assert first["search"]["seconds"] > 0
    assert first["encode"] is None
    ran = running.clipstack("up", "etcd", "--wait-for", "milvus", "--json")
    assert ran.code == 6
    assert running.clipstack("up", "--wait-for", "etcd", "--no-wait").code == 2


def test_what_is_not_waited_for_may_be_broken(tmp_path: Path) -> None:
    """A MinIO that never gets healthy keeps Milvus away, and not the encoder."""
    tight = {"CLIPSTACK_MINIO_MEMORY": "6m"}
    with removed(Stack(tmp_path / "s", "clipstack-test-options-tight", tight)) as stack:
        ran = stack.clipstack("up", "--wait-for", "bentoml", "--timeout", "45", "--json")
        assert ran.code == 0, ran.out
        assert ran.json["encode"]["model"] == "shapes"
        assert ran.json["seconds"] < 60


def test_a_milvus_for_others_asks_for_the_made_password(running: Stack) -> None:
    file = running.folder / "data" / "stacks" / running.project / "stack.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (password,) = re.findall(r'MILVUS_PASSWORD="(.+)"', file.read_text())
    assert running.clipstack("collections", "list").code == 0
    assert running.clipstack("health").code == 0
    try:
        for token in ("root:Milvus", "somebody:else"):
            running.variables["CLIPSTACK_MILVUS_TOKEN"] = token
            assert running.clipstack("collections", "list").code == 5, token
        del running.variables["CLIPSTACK_BIND_ADDRESS"]
    finally:
        running.variables.pop("CLIPSTACK_MILVUS_TOKEN")
    ran = running.clipstack("up", "-v", "--json")
    assert ran.code == 0, ran.out
    assert ran.json["changed"] is False, "address and password are remembered"
    assert password not in ran.out + ran.err
    printed = running.clipstack("up", "--print")
    assert password not in printed.out + printed.err
    running.variables["CLIPSTACK_BIND_ADDRESS"] = "0.0.0.0"


@pytest.mark.parametrize(
    ("service", "reason"),
    [("milvus", "Milvus does not answer a search"), ("bentoml", "does not encode a text")],
)
def test_the_deadline_is_for_the_smoke_tests_too(running: Stack, service: str, reason: str) -> None:
    assert running.clipstack("up").code == 0
    with frozen(running, service):
        started = time.monotonic()
        ran = running.clipstack("up", "--timeout", "6", "--json")
        took = time.monotonic() - started
    assert ran.code == 124, ran.out
    assert reason in ran.json["error"]["message"]
    assert took < 20


@contextlib.contextmanager
def frozen(stack: Stack, service: str) -> Iterator[None]:
    """All processes of a service stopped, which Docker does not know of for a while."""
    pids = docker("top", stack.container(service), "-o", "pid").split()[1:]
    for pid in map(int, pids):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in map(int, pids):
            os.kill(pid, signal.SIGCONT)
        stack.docker("restart", service)  # a Milvus that lost its session stays unusable


def test_the_deadline_is_for_pulling_too(tmp_path: Path) -> None:
    """The registry takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/etcd:1"
        stack = Stack(
            tmp_path / "s", "clipstack-test-options-pull", {"CLIPSTACK_ETCD_IMAGE": image}
        )
        with removed(stack):
            for option in ("--pull", "--wait"):
                started = time.monotonic()
                ran = stack.clipstack("up", "etcd", option, "--timeout", "4", "--json")
                assert ran.code == 124, ran.out
                assert "etcd" in ran.json["error"]["message"]
                assert time.monotonic() - started < 30


@pytest.mark.parametrize("place", ["here", "beside clipstack.toml", "the stack's folder"])
def test_an_override_is_honoured(tmp_path: Path, place: str) -> None:
    with removed(Stack(tmp_path / "s", "clipstack-test-options-mine")) as stack:
        folder = tmp_path / "s"
        if place == "beside clipstack.toml":
            folder = tmp_path
            (folder / "clipstack.toml").write_text("")
        elif place == "the stack's folder":
            folder = stack.folder / "data" / "stacks" / stack.project
            folder.mkdir(parents=True)
        override = folder / "compose.override.yaml"
        override.write_text(OVERRIDE)
        (folder / "extra").mkdir()
        (folder / "extra" / "file").touch()
        plan = stack.clipstack("up", "--dry-run", "--json").json
        assert str(override) in plan["files"]
        ran = stack.clipstack("up", "etcd", "web", "--json")
        assert ran.code == 0, ran.out
        assert "compose.override.yaml" in ran.err
        assert [service["name"] for service in ran.json["services"]] == ["etcd", "web"]
        assert "MINE=yes" in docker(
            "inspect", "-f", "{{json .Config.Env}}", stack.container("etcd")
        )
        assert docker("exec", stack.container("etcd"), "ls", "/extra") == "file"
        since = docker("inspect", "-f", "{{.State.StartedAt}}", stack.container("web"))
        assert stack.clipstack("restart").code == 0
        assert docker("inspect", "-f", "{{.State.StartedAt}}", stack.container("web")) > since
        assert set(stack.clipstack("down", "--json").json["services"]) == {"etcd", "web"}
        assert stack.container("web") == ""


def test_the_override_of_another_project_is_not_taken(tmp_path: Path) -> None:
    stack = Stack(tmp_path, "clipstack-test-options-other")
    (tmp_path / "compose.override.yaml").write_text(OVERRIDE)
    (tmp_path / "docker-compose.yml").write_text("services: {app: {image: app}}\n")
    plan = stack.clipstack("up", "--dry-run", "--json").json
    assert [Path(file).name for file in plan["files"]] == ["compose.yaml"]


def test_a_broken_override_is_named(tmp_path: Path) -> None:
    stack = Stack(tmp_path, "clipstack-test-options-broken")
    override = tmp_path / "compose.override.yaml"
    override.write_text("services: [}\n")
    ran = stack.clipstack("up", "--json")
    assert ran.code == 1
    assert str(override) in ran.json["error"]["hint"]


def test_what_is_printed_starts_by_hand(tmp_path: Path) -> None:
    with removed(Stack(tmp_path, "clipstack-test-options-print")) as stack:
        ran = stack.clipstack("up", "minio", "--print")
        assert ran.code == 0
        assert not (tmp_path / "data" / "stacks").exists(), "it changes nothing"
        file = tmp_path / "printed.yaml"
        file.write_text(ran.out)
        line = ["docker", "compose", "--file", str(file), "up", "--detach"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        refused = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert refused.returncode, "a password has to be given"
        environment["CLIPSTACK_MINIO_PASSWORD"] = "by-hand-only"
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "by-hand-only" in docker(
            "inspect", "-f", "{{json .Config.Env}}", stack.container("minio")
        )
        document = json.loads(stack.clipstack("up", "minio", "--print", "--json").out)
        assert list(document["services"]) == ["minio"]
