"""Services that answer by HTTP as a test tells them."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

MODEL = {
    "id": "some/model",
    "revision": "abc",
    "fingerprint": "f00d",
    "dimension": 3,
    "family": "clip",
    "geometry": {"resize": "exact", "size": [2, 4], "crop": None, "resample": 3},
    "limits": {"tokens": 32, "items": 256},
}
FINGERPRINT = {"Clipstack-Fingerprint": "f00d"}

Answer = tuple[int, dict[str, str], bytes]
Turn = Callable[[str, bytes], Answer] | None
RESET = "Test-Reset"


class Script:
    """Answers by HTTP as told: a function of the path and the body for each request in turn.

    The last one answers all that follow; None breaks the connection.
    """

    def __init__(self, *turns: Callable[[str, bytes], Answer] | None) -> None:
        self.turns = list(turns)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._lock = threading.Lock()

    def turn(self, path: str, headers: dict[str, str]) -> Callable[[str, bytes], Answer] | None:
        with self._lock:
            self.asked.append((path, headers))
            return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]


Start = Callable[..., tuple[str, Script]]


def vectors(path: str, body: bytes) -> Answer:
    """As the service answers: row n is n, n, n."""
    if path == "/model":
        return 200, {}, json.dumps(MODEL).encode()
    if path == "/vectorize_texts":
        numbers = [float(text) for text in json.loads(body)]
    else:
        numbers = np.load(io.BytesIO(body))[:, 0, 0, 0].tolist()
    return 200, FINGERPRINT, np.repeat(np.array(numbers, "<f4"), 3).tobytes()


def another_model(path: str, body: bytes) -> Answer:
    """As a service with another model answers."""
    if path == "/model":
        facts = MODEL | {"id": "other/model", "fingerprint": "beef"}
        return 200, {}, json.dumps(facts).encode()
    return 200, {"Clipstack-Fingerprint": "beef"}, vectors(path, body)[2]


def closed_early(path: str, body: bytes) -> Answer:
    """An answer that is shorter than its header says."""
    code, headers, content = vectors(path, body)
    return code, headers | {"Content-Length": str(len(content) + 9)}, content


def cut_short(path: str, body: bytes) -> Answer:
    """An answer that lacks its end, and a header that says so."""
    code, headers, content = vectors(path, body)
    return code, headers, content[:-1]


def reset(path: str, body: bytes) -> Answer:
    """No answer; the connection is reset."""
    return 0, {RESET: ""}, b""


def status(code: int, message: str = "", **headers: str) -> Callable[[str, bytes], Answer]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": message}).encode() if message else b"<html>"
    return lambda path, data: (code, given, body)


@contextlib.contextmanager
def scripted() -> Iterator[Start]:
    """Starts services that follow a script; all are gone afterwards."""
    servers = []

    def start(*turns: Any) -> tuple[str, Script]:
        script = Script(*turns)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                answer = script.turn(self.path, dict(self.headers))
                if answer is None:
                    self.close_connection = True
                    return
                code, headers, content = answer(self.path, body)
                if RESET in headers:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    return
                self.send_response(code)
                headers = {"Content-Length": str(len(content))} | headers
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = headers["Content-Length"] != str(len(content))

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.shutdown_request = server.close_request  # no farewell, which would not be a reset
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", script

    try:
        yield start
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
