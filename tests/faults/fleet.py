"""A fleet of three real encoder services, two of them behind troubles, that imports and searches
use for a while."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.material import draw
from tests.serving import served

Fault = Callable[[], str]
"""What becomes of the next request: "" passes it on; see `FaultyProxy`."""

FLAKY = ("500", "502", "503", "504", "reset", "early", "slow")
_FLAKINESS = 0.3
_SLOW_SECONDS = 3.0
_HANG_SECONDS = 3600.0


class FaultyProxy(ThreadingHTTPServer):
    """A gateway before a service. It passes requests on, or it

    answers with a status and a page of HTML ("502"), resets the connection ("reset"), closes it in
    the middle of an answer ("early"), takes its time ("slow"), or never answers ("hang").
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend, self.fault = port, fault
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://127.0.0.1:{self.server_port}"

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell, which would not be a reset."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyProxy

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault()
        if fault == "hang":
            self.server.ended.wait(_HANG_SECONDS)
            self.close_connection = True
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif fault.isdigit():
            self._answer(int(fault), {"Content-Type": "text/html"}, b"<html>no</html>")
        else:
            self.server.ended.wait(_SLOW_SECONDS if fault == "slow" else 0)
            self._answer(*self._from_backend(body), early=fault == "early")

    do_POST = do_GET

    def _from_backend(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        backend = http.client.HTTPConnection("127.0.0.1", self.server.backend, timeout=120)
        with contextlib.closing(backend):
            backend.request(self.command, self.path, body, dict(self.headers))
            response = backend.getresponse()
            content = response.read()
            hop = ("content-length", "transfer-encoding", "connection")
            kept = {n: v for n, v in response.getheaders() if n.lower() not in hop}
            return response.status, kept, content

    def _answer(
        self, code: int, headers: dict[str, str], content: bytes, *, early: bool = False
    ) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if early else content)
        self.close_connection = early

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def proxied(port: int, fault: Fault = str) -> Iterator[FaultyProxy]:
    """A running FaultyProxy before the service on `port`."""
    proxy = FaultyProxy(port, fault)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        proxy.shutdown()
        proxy.server_close()


@dataclass
class Timings:
    """The searches of one kind: the seconds of each, and what those that failed printed."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """The seconds that this part of the searches needed at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass
class Soak:
    """Imports and searches by a fleet of one good, one flaky and one hanging service.

    Attributes:
        alone, fleet: searches by the good service, and by all three.
        imports: how many ran beside them.
    """

    folder: Path
    seed: int = 1
    alone: Timings = field(default_factory=Timings)
    fleet: Timings = field(default_factory=Timings)
    imports: int = 0
    import_failures: list[str] = field(default_factory=list)

    def run(self, seconds: float, pictures: int = 200) -> None:
        """Search in turns by the good one alone and by the fleet, while imports run."""
        (self.folder / "album").mkdir()
        draw(self.folder / "album", pictures, 128)
        with contextlib.ExitStack() as stack:
            ports = []
            for name in ("good", "flaky", "hanging"):
                (self.folder / name).mkdir()
                ports.append(stack.enter_context(served(self.folder / name)).port)
            good, flaky, hanging = (
                stack.enter_context(proxied(port, fault)).url
                for port, fault in zip(ports, (str, self._flaky, lambda: "hang"), strict=True)
            )
            fleet = f"{hanging} {flaky} {good}"
            self._command("import", "album", "--collection", "images", urls=good)
            ended = threading.Event()
            importer = threading.Thread(target=self._import, args=(fleet, ended))
            importer.start()
            try:
                self._search(good, fleet, time.monotonic() + seconds)
            finally:
                ended.set()
                importer.join()

    def _flaky(self) -> str:
        with self._lock:
            return self._random.choice(FLAKY) if self._random.random() < _FLAKINESS else ""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def _search(self, good: str, fleet: str, until: float) -> None:
        words = ("a red circle", "a blue square", "a green triangle", "two yellow stars")
        for number in range(1_000_000):
            for timings, urls in ((self.alone, good), (self.fleet, fleet)):
                if time.monotonic() > until:
                    return
                began = time.monotonic()
                ran = self._command("search", words[number % len(words)], "--json", urls=urls)
                timings.seconds.append(time.monotonic() - began)
                if ran.returncode or len(json.loads(ran.stdout)["hits"]) != 10:
                    timings.failures.append(f"{ran.returncode}: {ran.stdout} {ran.stderr}")

    def _import(self, urls: str, ended: threading.Event) -> None:
        while not ended.is_set():
            name = f"run{self.imports}"
            ran = self._command("import", "album", "--collection", name, "--json", urls=urls)
            self.imports += 1
            if ran.returncode:
                self.import_failures.append(f"{ran.returncode}: {ran.stdout} {ran.stderr}")
            else:
                self._command("collections", "drop", name, "--yes", urls=urls)

    def _command(self, *args: str, urls: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "CLIPSTACK_DATABASE": str(self.folder / "clipstack.db"),
            "CLIPSTACK_DATA_DIR": str(self.folder / "data"),
            "CLIPSTACK_CACHE_DIR": str(self.folder / "cache"),
            "CLIPSTACK_CONFIG_DIR": str(self.folder / "config"),
            "CLIPSTACK_ENCODER_URL": urls,
            "CLIPSTACK_TARGET": "embedded",
        }
        return subprocess.run(
            [sys.executable, "-m", "clipstack", *args],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
