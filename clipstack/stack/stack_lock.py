"""One lock for each stack: a command that changes the stack has it to itself.

The lock is a file of this machine, for all its users: the stack belongs to Docker's engine, not to
the user whose data folder has its variables. The system releases it when its holder ends, however
that ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from clipstack.errors import ClipstackError, ExitCode, PrerequisiteError
from clipstack.events import Events
from clipstack.stack import containers, subprocesses
from clipstack.stack.deadline import Deadline

# TMPDIR may differ from one shell to the next.
_FOLDER = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
_PAUSE = 0.2


@contextlib.contextmanager
def locked(project: str, command: str, events: Events, deadline: Deadline) -> Iterator[None]:
    """Have a stack to this command alone, after waiting for another one that has it.

    Subprocesses keep the lock: `docker compose` goes on for a while if its caller is killed.

    Args:
        command: its name, such as "up", for those that wait.

    Raises:
        PrerequisiteError: Docker can't be used, or the lock's file can't.
        ClipstackError: the deadline is over (exit code 124).
    """
    from filelock import unlock_descriptor

    path = _lock_file(project)
    descriptor = _open(path)
    try:
        _wait(descriptor, path, project, events, deadline)
        try:
            holder = {"command": command, "pid": os.getpid(), "since": _now()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            with subprocesses.inheriting(descriptor):
                yield
        finally:
            unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, project: str, events: Events, deadline: Deadline) -> None:
    from filelock import lock_descriptor

    reported = ""
    while not lock_descriptor(descriptor, blocking=False):
        holder = _holder(descriptor)
        if not deadline.left:
            raise ClipstackError(
                f"the stack {project} is still being changed by {holder} after "
                f"{deadline.elapsed:.0f} s",
                hint="Wait for its end and type this again; --timeout SECONDS waits longer. "
                f"`fuser -v {path}` shows the process.",
                code=ExitCode.TIMEOUT,
            )
        if holder != reported:
            reported = holder
            events.stage(f"Waiting for {holder}, which changes the stack {project}")
        time.sleep(_PAUSE)


def _lock_file(project: str) -> Path:
    with containers.translate_errors():
        engine = str(containers.client().info().get("ID", ""))
    digest = hashlib.sha256(f"{engine}/{project}".encode()).hexdigest()[:12]
    return _FOLDER / f"clipstack-{project}-{digest}.lock"


def _open(path: Path) -> int:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    for _ in range(10):
        try:
            # With O_CREAT, Linux refuses another user's file in /tmp.
            return os.open(path, flags)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                if os.name == "posix":
                    os.fchmod(descriptor, 0o666)  # whatever the umask is
                return descriptor
        except OSError as error:
            raise PrerequisiteError(
                f"{path}: the lock of the stack can't be used ({error.strerror})",
                hint="Remove that file while no other command changes the stack.",
            ) from None
    raise PrerequisiteError(f"{path}: the lock of the stack can't be made")


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        pid, command, since = int(holder["pid"]), str(holder["command"]), str(holder["since"])
    except (OSError, ValueError, LookupError, TypeError):
        return "another command"
    who = f"`clipstack {command}` (process {pid}, since {since})"
    return who if _exists(pid) else f"what {who} left running when it was killed"


def _exists(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid))


def _now() -> str:
    return datetime.now().isoformat(" ", "seconds")
