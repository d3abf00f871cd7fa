"""A database file in, Milvus Lite's engine running on it out.

Milvus Lite's own `milvus_lite.server.Server` always waits half a second, and importing it costs a
tenth. This starts the same program in the same way and is done as soon as it answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.settings import cache_dir

_START_SECONDS = 30.0
_LONGEST_SOCKET = 100
"""Bytes of a socket's path; Linux takes 107, macOS 103."""


class Engine:
    """The engine on one file, as a process of its own that ends with this one.

    Source: milvus_lite/server.py of milvus-lite 2.5.1: its arguments are the file, the address,
    the level of its log, and a file whose lock tells it that whoever started it is alive.
    """

    def __init__(self, path: Path) -> None:
        """Start it; it answers once `wait` has returned.

        Raises:
            PrerequisiteError: Milvus Lite is not installed.
        """
        self._path = path
        self._socket = _socket_path()
        self._alive_path = path.with_name(f".{path.name}.lock")
        self._alive: TextIO | None = self._alive_path.open("a")
        fcntl.lockf(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        program = _program()
        surroundings = {
            name: value for name, value in os.environ.items() if name != "DYLD_LIBRARY_PATH"
        }
        surroundings |= {"LD_LIBRARY_PATH": str(program.parent), "HOME": str(_home(path))}
        surroundings |= {"DYLD_LIBRARY_PATH": str(program.parent), "GLOG_minloglevel": "3"}
        with _sigint_blocked():
            self._process = subprocess.Popen(
                [program, path, self.uri, "ERROR", self._alive_path],
                env=surroundings,
                cwd=path.parent,
            )

    @property
    def uri(self) -> str:
        """Where a client of this process reaches it."""
        return f"unix:{self._socket}"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it; it writes what it holds first."""
        if self._alive is not None:
            self._alive.close()
            self._alive = None
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(3)
        for leftover in (self._socket, self._alive_path):
            leftover.unlink(missing_ok=True)

    def wait(self) -> None:
        """Until it answers.

        Raises:
            ClipstackError: it does not open the file.
        """
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self._socket))
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        raise ClipstackError(
            f"{self._path}: the embedded Milvus does not open it",
            hint="It may not be a Milvus Lite file, or be damaged. Move it away and import again, "
            "or choose another with CLIPSTACK_DATABASE.",
        )


def _socket_path() -> Path:
    """A new name in the folder for temporary files, or in /tmp where that makes it too long."""
    name = f"clipstack-{secrets.token_hex(8)}.sock"
    path = Path(tempfile.gettempdir(), name)
    return path if len(bytes(path)) <= _LONGEST_SOCKET else Path("/tmp", name)


def _program() -> Path:
    found = importlib.util.find_spec("milvus_lite")
    if found is None or found.origin is None:
        raise PrerequisiteError(
            "Milvus Lite is not installed", hint="Type `pip install milvus-lite==2.5.1`."
        )
    return Path(found.origin).parent / "lib" / "milvus"


def _home(path: Path) -> Path:
    """A home of the engine's own: engines on other files that start at the same time would trip
    over each other in ~/.cache/milvus."""
    home = cache_dir() / "milvus" / hashlib.blake2b(bytes(path), digest_size=8).hexdigest()
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """What is started inside never sees Ctrl-C: the terminal sends it to children too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
