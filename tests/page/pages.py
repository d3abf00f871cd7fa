"""Starts a real `clipstack page` on folders of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from tests.running import Ran, process
from tests.serving import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class World:
    """Folders of one user, with pictures in `pictures` and the database they are imported into."""

    folder: Path

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def environment(self) -> dict[str, str]:
        world = {name: value for name, value in os.environ.items() if name[:10] != "CLIPSTACK_"}
        folders = {
            f"CLIPSTACK_{kind}_DIR": str(self.folder / kind.lower())
            for kind in ("DATA", "CONFIG", "CACHE")
        }
        return world | folders | {"PYTHONPATH": str(ROOT)}

    def clipstack(self, *args: object, timeout: float = 120) -> Ran:
        """`clipstack ARGS` as a process of its own, here."""
        running = process(*args, env=self.environment, cwd=self.folder)
        try:
            out, err = running.communicate(timeout=timeout)
        finally:
            running.kill()
        return Ran(running.returncode, out, err)


@dataclass
class Served:
    """A running page; `url` is what it printed, `log` what it says on stderr."""

    world: World
    process: subprocess.Popen[str]
    url: str
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def told(self, words: str, seconds: float = 10) -> bool:
        """Whether one of the log's last three lines has `words`; it is written beside answers."""
        until = time.monotonic() + seconds
        while not any(words in line for line in self.log.splitlines()[-3:]):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(
    world: World, *args: object, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Served]:
    """`clipstack page ARGS` until the end, which is a Ctrl-C that it obeys."""
    port = free_port()
    log_file = world.folder / f"page-{port}.log"
    with log_file.open("w") as log:
        running = process(
            *("page", "--port", port, *args),
            env=world.environment | variables,
            cwd=world.folder,
            stderr=log,
        )
        try:
            url = running.stdout.readline().strip()
            assert url, log_file.read_text()
            yield Served(world, running, url, port, log_file)
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 130, log_file.read_text()
        finally:
            running.kill()
            running.stdout.close()


def ask(client: httpx.Client, text: str = "a star", **more: object) -> httpx.Response:
    return client.post("/search", json={"terms": [{"kind": "text", "value": text}], **more})


def raw(served: Served, request: bytes) -> bytes:
    """Bytes sent as they are; what comes back until the server hangs up or says nothing more."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as made:
        made.sendall(request)
        made.settimeout(2)
        found = b""
        try:
            while chunk := made.recv(65536):
                found += chunk
        except TimeoutError:
            pass
        return found
