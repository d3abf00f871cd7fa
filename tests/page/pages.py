"""A real `clipstack page` on folders of its own."""

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
class Workspace:
    """Folders of one user: pictures in `pictures`, and the database they are imported into."""

    folder: Path

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def environment(self) -> dict[str, str]:
        variables = {name: value for name, value in os.environ.items() if name[:10] != "CLIPSTACK_"}
        folders = {
            f"CLIPSTACK_{kind}_DIR": str(self.folder / kind.lower())
            for kind in ("DATA", "CONFIG", "CACHE")
        }
        return variables | folders | {"PYTHONPATH": str(ROOT)}

    def clipstack(self, *args: object, timeout: float = 120) -> Ran:
        """Run `clipstack ARGS` as a process in this folder."""
        running = process(*args, env=self.environment, cwd=self.folder)
        try:
            out, err = running.communicate(timeout=timeout)
        finally:
            running.kill()
        return Ran(running.returncode, out, err)


@dataclass
class PageServer:
    """A running page; `url` is the one that it printed, `log` its stderr."""

    workspace: Workspace
    process: subprocess.Popen[str]
    url: str
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def has_logged(self, words: str, seconds: float = 10) -> bool:
        """Whether one of the log's last three lines has `words`; it is written asynchronously."""
        deadline = time.monotonic() + seconds
        while not any(words in line for line in self.log.splitlines()[-3:]):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def run_page(
    workspace: Workspace, *args: object, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[PageServer]:
    """Run `clipstack page ARGS`; Ctrl-C must end it afterwards."""
    port = free_port()
    log_file = workspace.folder / f"page-{port}.log"
    with log_file.open("w") as log:
        page = process(
            *("page", "--port", port, *args),
            env=workspace.environment | variables,
            cwd=workspace.folder,
            stderr=log,
        )
        try:
            url = page.stdout.readline().strip()
            assert url, log_file.read_text()
            yield PageServer(workspace, page, url, port, log_file)
            page.send_signal(signal.SIGINT)
            assert page.wait(20) == 130, log_file.read_text()
        finally:
            page.kill()
            page.stdout.close()


def search(client: httpx.Client, text: str = "a star", **fields: object) -> httpx.Response:
    """Search for a text; `fields` are further members of the query."""
    return client.post("/search", json={"terms": [{"kind": "text", "value": text}], **fields})


def send_raw(server: PageServer, request: bytes) -> bytes:
    """Send bytes unchanged; returns all that the server sends within two seconds."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(2)
        response = b""
        try:
            while chunk := connection.recv(65536):
                response += chunk
        except TimeoutError:
            pass
        return response
