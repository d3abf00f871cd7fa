"""A Milvus Lite file in, the right to open it out: for one that writes, or several that read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from clipstack.errors import UnreachableError


@dataclass(frozen=True, slots=True)
class Use:
    """Who has a database open: `held` by anyone now; the last one's process id (0: not known) and
    command, which stay when it was killed."""

    held: bool
    pid: int
    command: str


def use(path: Path) -> Use:
    """Who has the database at `path` open, without opening it."""
    lock = Lock(path.expanduser().absolute().resolve())
    note = lock._read_note()
    pid = note.get("pid")
    return Use(lock.is_held(), pid if isinstance(pid, int) else 0, str(note.get("command", "")))


def is_wanted(path: Path) -> bool:
    """Whether a process waits for the database at `path`, which this one has open."""
    return _is_locked(Lock(path.expanduser().absolute().resolve()).waiting, fcntl.LOCK_EX)


def _is_locked(file: Path, against: int) -> bool:
    """Whether another process' lock is in the way of one of this kind; makes no file."""
    try:
        with file.open() as opened:
            fcntl.flock(opened, against | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Lock:
    """An advisory lock beside the database, with a note of who holds it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._note = database.with_name(f".{database.name}.holder")
        self._path = database.with_name(f".{database.name}.clipstack-lock")
        self.waiting = database.with_name(f".{database.name}.waiting")
        self._file: TextIO | None = None
        self._shared = False

    def acquire(self, wait: float, *, shared: bool = False) -> None:
        """Wait for it.

        Args:
            wait: seconds.
            shared: with others that only read the file.

        Raises:
            UnreachableError: another process still holds it.
        """
        file = self._path.open("a")
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = time.monotonic() + wait
        with self.waiting.open("a") as asking:
            while True:
                try:
                    fcntl.flock(file, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        file.close()
                        raise self._held(wait) from None
                    with contextlib.suppress(BlockingIOError):  # seen by `is_wanted`
                        fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    time.sleep(0.05)
        self._file = file
        self._shared = shared
        self._await_orphan()
        if not shared:
            self.describe()

    def is_held(self) -> bool:
        """Whether another process holds it; makes no file."""
        return _is_locked(self._path, fcntl.LOCK_SH)

    def describe(self, **facts: int) -> None:
        """Say in the note who this process is."""
        program = Path(sys.argv[0])
        name = program.parent.name if program.name == "__main__.py" else program.name
        command = shlex.join([name, *sys.argv[1:]])
        self._note.write_text(json.dumps({"pid": os.getpid(), "command": command, **facts}))

    def release(self) -> None:
        if self._file is not None:
            if not self._shared:
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
    import subprocess

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
