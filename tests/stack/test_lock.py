"""One command at a time changes a stack: others wait for it, and say for whom."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import process
from tests.stack.stacks import Stack, docker, removed

pytestmark = pytest.mark.usefixtures("stack_images")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose first two services are enough."""
    with removed(Stack(tmp_path / "stack", "clipstack-test-lock")) as stack:
        yield stack


@contextlib.contextmanager
def held(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """`clipstack restart minio`, stopped by a signal after it has begun."""
    running = process("restart", "minio", env=stack.environment, cwd=stack.folder)
    assert running.stderr
    assert "Stopping" in running.stderr.readline()
    running.send_signal(signal.SIGSTOP)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_two_at_once_both_succeed(small: Stack, tmp_path: Path) -> None:
    """By two users, each with a data folder: the second takes the first one's password."""
    other = Stack(tmp_path / "other", small.project, small.variables)
    both = [
        process("up", "etcd", "minio", env=stack.environment, cwd=stack.folder)
        for stack in (small, other)
    ]
    messages = [running.communicate(timeout=200)[1] for running in both]
    assert [running.returncode for running in both] == [0, 0], messages
    waited = [re.search(r"Waiting for `clipstack up` \(process (\d+), since", m) for m in messages]
    (match,) = filter(None, waited)
    assert int(match[1]) in [running.pid for running in both]
    networks = docker("network", "ls", "-q", "--filter", f"name={small.project}_default")
    assert len(networks.split()) == 1
    inside = docker("inspect", "-f", "{{json .Config.Env}}", small.container("minio"))
    for stack in (small, other):
        file = stack.folder / "data" / "stacks" / stack.project / "stack.env"
        (password,) = re.findall(r'MINIO_PASSWORD="(.+)"', file.read_text())
        assert password in inside


def test_whatever_changes_it_waits_and_gives_up(small: Stack) -> None:
    assert small.clipstack("up", "etcd", "minio").code == 0
    with held(small) as holder:
        for command in (("up", "etcd"), ("down",), ("stop",), ("start",), ("restart",)):
            ran = small.clipstack(*command, "--timeout", "1", "--json")
            assert ran.code == 124, command
            assert f"`clipstack restart` (process {holder.pid}, " in ran.json["error"]["message"]
            assert "--timeout" in ran.json["error"]["hint"]
        assert small.clipstack("status").code in (0, 3), "what only looks does not wait"
        other = Stack(small.folder, f"{small.project}-other", small.variables)
        other.variables["CLIPSTACK_PROJECT"] = other.project
        assert other.clipstack("down", "--timeout", "20").code == 0, "another stack is free"
    assert small.clipstack("up", "etcd", "minio").code == 0, "the system has released the lock"


def test_the_lock_outlives_a_killed_command_for_its_compose(small: Stack) -> None:
    running = process("up", "etcd", "minio", env=small.environment, cwd=small.folder)
    compose = _child_of(running.pid)
    os.kill(compose, signal.SIGSTOP)
    running.kill()
    running.communicate()
    try:
        ran = small.clipstack("down", "--timeout", "2", "--json")
        assert ran.code == 124
        assert "left running when it was killed" in ran.json["error"]["message"]
    finally:
        os.kill(compose, signal.SIGCONT)
    assert small.clipstack("up", "etcd", "minio").code == 0
    assert not Path(f"/proc/{compose}").exists()


def _child_of(pid: int) -> int:
    """The first subprocess of `clipstack up` that is `docker compose up`."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if b"compose" in arguments and b"up" in arguments:
                    return int(child)
        time.sleep(0.02)
    raise AssertionError("no compose")
