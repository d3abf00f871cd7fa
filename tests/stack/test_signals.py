"""SIGTERM and SIGHUP, on a real engine: compose ends, and no container stays that never ran."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.running import process
from tests.stack.stacks import Stack, docker, removed

pytestmark = pytest.mark.usefixtures("stack_images")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def containers(stack: Stack, *filters: str) -> list[str]:
    chosen = (f"label=com.docker.compose.project={stack.project}", *filters)
    return docker("ps", "-aq", *(f"--filter={text}" for text in chosen)).split()


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_up(tmp_path: Path) -> None:
    with removed(Stack(tmp_path / "stack", "clipstack-test-signals")) as stack:
        for number in SIGNALS:
            running = process("up", "milvus", env=stack.environment, cwd=stack.folder)
            # Milvus' container waits for the others.
            wait_until(lambda: containers(stack, "status=created"))
            running.send_signal(number)
            _, err = running.communicate(timeout=60)
            assert running.returncode == 128 + number, err
            assert "`clipstack down` stops" in err
            lines = [child.info["cmdline"] or [] for child in psutil.process_iter(["cmdline"])]
            assert not [line for line in lines if f"--project-name={stack.project}" in line]
            assert containers(stack, "status=created") == []
            stack.remove()
        up = stack.clipstack("up", "etcd", "minio")
        assert up.code == 0, up.err
        for number in SIGNALS:
            for command in (("logs", "-f"), ("status", "--watch", "--json")):
                running = process(*command, env=stack.environment, cwd=stack.folder)
                assert running.stdout
                assert running.stdout.readline()
                running.send_signal(number)
                _, err = running.communicate(timeout=60)
                assert running.returncode == 128 + number, err
                assert "Traceback" not in err
        assert len(containers(stack, "status=running")) == 2
