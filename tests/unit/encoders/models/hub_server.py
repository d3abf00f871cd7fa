"""A small Hugging Face hub on this machine: as much as a pull needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "a" * 40


@dataclass
class Hub:
    """What the server has, and what it was asked for."""

    repos: dict[str, Path]
    status: dict[str, tuple[int, str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    stalled: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    """Answers for `hub`, which subclasses have."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        parts = urlsplit(self.path).path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if api else parts[:2])
        if repo in self.hub.status:
            code, name = self.hub.status[repo]
            return self.reply(code, b"{}", {"X-Error-Code": name}, body)
        if repo not in self.hub.repos:
            return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
        if api:
            return self.reply(*self.listing(repo, parts[4:]), body)
        return self.file(repo, parts, body)

    def listing(self, repo, rest):
        if rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
            return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
        files = sorted(self.hub.repos[repo].iterdir())
        if rest[:1] == ["tree"]:
            value = [
                {"type": "file", "path": file.name, "oid": "0" * 40, "size": _size(file)}
                for file in files
            ]
        else:
            siblings = [{"rfilename": file.name, "size": _size(file)} for file in files]
            value = {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False}
        return 200, json.dumps(value).encode(), {"Content-Type": "application/json"}

    def file(self, repo, parts, body):
        path = self.hub.repos[repo] / parts[-1]
        if not path.is_file():
            return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
        data = path.read_bytes()
        if body:
            self.hub.fetched.append(path.name)
        etag = hashlib.sha1(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        if body and path.name in self.hub.broken:
            return self.reply(500, b"", {}, body)
        if body and path.name in self.hub.stalled:
            return self.stall(data, headers)
        return self.reply(200, data, headers, body)

    def stall(self, data, headers):
        """Send half of the data, and no more for two minutes."""
        self.send_response(200)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        time.sleep(120)

    def reply(self, code, data, headers, body):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


def _size(file: Path) -> int:
    return file.stat().st_size


@contextlib.contextmanager
def serving(repos: dict[str, Path]) -> Iterator[Hub]:
    hub = Hub(repos)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
