"""Starts the real service, `bentoml serve`, and talks to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from filelock import FileLock, Timeout

ROOT = Path(__file__).parents[1]
PATIENCE = 240


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    port: int
    process: psutil.Process
    log: Path

    @property
    def workers(self) -> set[int]:
        """The processes that answer."""
        return {child.pid for child in self.process.children(recursive=True)}

    @property
    def memory(self) -> int:
        """Bytes that those take."""
        return sum(c.memory_info().rss for c in self.process.children(recursive=True))

    def post(self, path: str, content: bytes | str = b"", kind: str = "", **headers: str):
        """One POST; `kind` is the content type."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"content-type": kind} if kind else {}
        return httpx.post(self.url + path, content=content, headers=given, timeout=120)

    def get(self, path: str, **headers: str):
        """One GET."""
        return httpx.get(self.url + path, headers=headers, timeout=120)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples over all labels; `name` may include some."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", wanted))
        except OSError:
            probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def port_for(wanted: int) -> Iterator[int]:
    """`wanted` if neither another program nor another process of these tests has it, else any."""
    lock = FileLock(Path(tempfile.gettempdir()) / f"clipstack-tests-{wanted}.lock")
    try:
        lock.acquire(timeout=0)
        yield free_port(wanted)
    except Timeout:
        yield free_port()
    finally:
        lock.release()


@contextlib.contextmanager
def served(
    folder: Path,
    target: str = "service:svc",
    *,
    port: int = 0,
    wait: bool = True,
    **environment: str,
) -> Iterator[Served]:
    """`bentoml serve` with the model `shapes`; ended afterwards with all its processes.

    Args:
        folder: for its log, caches and BentoML's home.
        port: the one to use if it is free.
        wait: until it is ready.
        environment: more variables.
    """
    world = {name: value for name, value in os.environ.items() if name[:10] != "CLIPSTACK_"}
    world |= {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    world |= {"HF_HUB_OFFLINE": "1", "CLIPSTACK_CACHE_DIR": str(folder / "cache")}
    world |= {"CLIPSTACK_MODEL": "shapes"} | environment
    bentoml = str(Path(sys.executable).with_name("bentoml"))
    log = folder / "service.log"
    with port_for(port) if port else contextlib.nullcontext(free_port()) as port:
        with log.open("wb") as out:
            line = [bentoml, "serve", target, "--port", str(port)]
            process = subprocess.Popen(line, cwd=ROOT, env=world, stdout=out, stderr=out)
        try:
            service = Served(f"http://127.0.0.1:{port}", port, psutil.Process(process.pid), log)
            if wait:
                _wait_until_ready(service, process)
            yield service
        finally:
            _end(process)


def _wait_until_ready(service: Served, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(service.url + "/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the service is not ready: {service.log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    children: list[psutil.Process] = []
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    for left in [*children, process]:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            left.kill()
    process.wait(20)
