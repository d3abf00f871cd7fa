"""A file's path in, a Milvus client on it out: the embedded target's one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from clipstack.errors import ClipstackError, UnreachableError, UsageError
from clipstack.index import light
from clipstack.index.client import Client
from clipstack.index.engine import Engine

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Milvus Lite's own rule for the file's name.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,33}\.db")
# pymilvus asks every 10 s whether a silent server is alive. The engine allows that every 5 minutes
# (gRPC's default): after half a minute of silence it would end the connection during the next call.
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1}


class Database(AbstractContextManager["Database"]):
    """The embedded Milvus on one file, open in this process alone until it is closed.

    Use as a context manager. `client` has the methods of a pymilvus MilvusClient.
    """

    def __init__(self, path: Path, *, wait: float) -> None:
        """Open `path`, made when it does not exist.

        Args:
            path: a file whose name ends in .db.
            wait: seconds to wait for another process that holds it.

        Raises:
            UsageError: the name is not one Milvus Lite takes, or the folder can't be made.
            UnreachableError: another process still holds the file.
            ClipstackError: the file is not a Milvus Lite database.
        """
        self.path = _checked(path)
        self._lock = _Lock(self.path)
        self._lock.acquire(wait)
        try:
            self._server, client = _start(self.path)
            self.client = Client(client, str(self.path))
            self._lock.describe(server_pid=self._server.pid)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the engine and let the next process in."""
        with contextlib.suppress(Exception):
            self.client.close()
        self._server.stop()
        self._lock.release()


def _checked(path: Path) -> Path:
    path = path.expanduser().absolute()
    if not _NAME.fullmatch(path.name):
        raise UsageError(
            f"{path}: not a name for a database",
            hint="Name it with letters, digits, dots, - and _, at most 36 in all, ending in .db.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path.parent}: can't be made ({error.strerror})",
            hint="Choose another place with CLIPSTACK_DATABASE or `database` in clipstack.toml.",
        ) from None
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise ClipstackError(f"{path}: no permission to read and write the database")
    return path.resolve()


def _start(path: Path) -> tuple[Engine, MilvusClient]:
    server = Engine(path)
    try:
        return server, light.client(uri=server.uri, grpc_options=_NO_PINGS)
    except BaseException:
        server.stop()
        raise


@dataclass(frozen=True, slots=True)
class Use:
    """Who has a database open: `held` by anyone now; the last one's process id (0: not known) and
    command, which stay when it was killed."""

    held: bool
    pid: int
    command: str


def use(path: Path) -> Use:
    """Who has the database at `path` open, without opening it."""
    lock = _Lock(path.expanduser().absolute().resolve())
    note = lock._read_note()
    pid = note.get("pid")
    return Use(lock.is_held(), pid if isinstance(pid, int) else 0, str(note.get("command", "")))


class _Lock:
    """An advisory lock beside the database, with a note of who holds it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._note = database.with_name(f".{database.name}.holder")
        self._path = database.with_name(f".{database.name}.clipstack-lock")
        self._file: TextIO | None = None

    def acquire(self, wait: float) -> None:
        file = self._path.open("a")
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.close()
                    raise self._held(wait) from None
                time.sleep(0.05)
        self._file = file
        self._await_orphan()
        self.describe()

    def is_held(self) -> bool:
        """Whether another process holds it; makes no file."""
        try:
            with self._path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def describe(self, **facts: int) -> None:
        """Say in the note who this process is."""
        program = Path(sys.argv[0])
        name = program.parent.name if program.name == "__main__.py" else program.name
        command = shlex.join([name, *sys.argv[1:]])
        self._note.write_text(json.dumps({"pid": os.getpid(), "command": command, **facts}))

    def release(self) -> None:
        if self._file is not None:
            self._note.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _held(self, wait: float) -> UnreachableError:
        note = self._read_note()
        holder = f"process {note['pid']} (`{note['command']}`)" if note else "another process"
        return UnreachableError(
            f"{self._database}: in use by {holder}, waited {wait:g} s",
            hint="One process at a time can use the embedded target. Let it finish, wait longer "
            "with --wait SECONDS, or use another file with CLIPSTACK_DATABASE.",
        )

    def _await_orphan(self) -> None:
        """Wait for the engine of a process that was killed: it stops itself within a second.

        Two engines on one file would not see each other's rows.
        """
        pid = self._read_note().get("server_pid")
        if not isinstance(pid, int):
            return
        deadline = time.monotonic() + 5
        while _is_engine(pid, self._database):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                deadline += 5
            time.sleep(0.05)


def _is_engine(pid: int, database: Path) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return str(database) in shown and not shown.lstrip().startswith("Z")
