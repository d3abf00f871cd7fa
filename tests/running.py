"""Run clipstack: in this process in each of its output modes, or as a process of its own."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, TextIO

MODES = ("human", "plain", "json", "quiet")
_ESCAPES = re.compile(r"\x1b\][^\x1b\x07]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as exactly one JSON document."""
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """stdout without escape sequences and with white space folded."""
        return " ".join(_ESCAPES.sub("", self.out).split())


class Cli:
    """Runs `clipstack ARGS` in this process.

    In mode "human" stdout and stderr are real terminals (pseudo-terminals); in the others they
    are pipes, and "json" and "quiet" add their option.
    """

    def __call__(self, *args: object, mode: str = "plain", stdin: bytes = b"") -> Ran:
        extra = {"json": ["--json"], "quiet": ["--quiet"]}.get(mode, [])
        line = [str(arg) for arg in args] + extra
        make = _Terminal if mode == "human" else _Pipe
        out, err = make(), make()
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        sys.stdout, sys.stderr = out.stream, err.stream
        try:
            from clipstack.cli.app import run

            code = run(line)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        return Ran(int(code), out.text(), err.text())


class _Pipe:
    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self.stream: TextIO = io.TextIOWrapper(self._bytes, "utf-8", write_through=True)

    def text(self) -> str:
        return self._bytes.getvalue().decode("utf-8", "surrogateescape")


class _Terminal:
    def __init__(self) -> None:
        self._master, slave = os.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # Linux' end of file on a pseudo-terminal
                return
            if not chunk:
                return
            self._chunks.append(chunk)

    def text(self) -> str:
        self.stream.close()
        self._reader.join(5)
        os.close(self._master)
        return b"".join(self._chunks).decode().replace("\r\n", "\n")


def process(*args: object, **options: Any) -> subprocess.Popen[str]:
    """`clipstack ARGS` as a process of its own, in this environment, its output in pipes."""
    command = [sys.executable, "-m", "clipstack", *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **options})


def wait_for_rows(count: int, collection: str = "images", seconds: float = 60) -> None:
    """Wait until an import that runs beside this process has stored that many rows."""
    until = time.monotonic() + seconds
    while True:
        ran = Cli()("collections", "show", collection, mode="json")
        if ran.code == 0 and ran.json["rows"] >= count:
            return
        assert time.monotonic() < until, ran.out
        time.sleep(0.02)
