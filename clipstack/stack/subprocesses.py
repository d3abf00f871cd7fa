"""Subprocesses whose output is read line by line while they run."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clipstack import interrupts
from clipstack.errors import ClipstackError

_TAIL = 30
_GRACE_SECONDS = 20.0
_inherited: set[int] = set()


def stream(
    command: Sequence[str],
    name: str,
    on_line: Callable[[str], None],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        name: the command as a person would type it, for errors.
        on_line: called with each line of stdout and stderr, in the order they come.
        folder: its working directory; None for this process's.
        environment: all of its variables; None for this process's.

    Raises:
        ClipstackError: it failed; the hint has its last lines.
    """
    tail: deque[str] = deque(maxlen=_TAIL)
    # What a terminated command leaves among temporary files goes with this folder.
    with tempfile.TemporaryDirectory(prefix="clipstack-", ignore_cleanup_errors=True) as temporary:
        variables = {**(os.environ if environment is None else environment), "TMPDIR": temporary}
        process = _start(command, folder, variables)
        assert process.stdout
        try:
            for line in process.stdout:
                line = line.rstrip()
                if line:
                    tail.append(line)
                    on_line(line)
            code = process.wait()
        except BaseException:  # an interruption above all: it must not go on without its caller
            _terminate(process)
            raise
        finally:
            process.stdout.close()
            interrupts.remove_group(process.pid)
    if code:
        raise _failure(name, code, tail)


@contextlib.contextmanager
def inheriting(descriptor: int) -> Iterator[None]:
    """Subprocesses that are started in this block inherit an open file."""
    if os.name == "posix":
        _inherited.add(descriptor)
    try:
        yield
    finally:
        _inherited.discard(descriptor)


def serve(command: Sequence[str], name: str, environment: Mapping[str, str]) -> None:
    """Run a server until it ends or a signal ends this process; its output goes to stderr.

    Args:
        command: the program and its arguments.
        name: the command as a person would type it, for errors.
        environment: all of its variables.

    Raises:
        ClipstackError: it failed.
    """
    process = _start(command, None, environment, output=sys.stderr.fileno())
    try:
        code = process.wait()
    except BaseException:
        _terminate(process)
        raise
    finally:
        interrupts.remove_group(process.pid)
    if code:
        raise _failure(name, code, ())


class BackgroundProcess:
    """A command that runs while its caller does something else.

    Args:
        command: the program and its arguments.
        name: the command as a person would type it, for errors.
        on_line: called with each line of stdout and stderr, from a thread.
        environment: all of its variables.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        on_line: Callable[[str], None],
        *,
        environment: Mapping[str, str],
    ) -> None:
        self._name = name
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._process = _start(command, None, environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            ClipstackError: it failed; the hint has its last lines.
        """
        code = self._process.wait()
        interrupts.remove_group(self._process.pid)
        self._reader.join(_GRACE_SECONDS)
        if code:
            raise _failure(self._name, code, self._tail)

    def terminate(self) -> None:
        """Terminate it and its children, if it is still running."""
        if self.is_running:
            _terminate(self._process)
        interrupts.remove_group(self._process.pid)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.strip():
                self._tail.append(line.rstrip())
                self._on_line(line.rstrip())


def _failure(name: str, code: int, tail: Iterable[str]) -> ClipstackError:
    lines = list(tail)
    if any(re.match(r'\s+File ".*", line \d+', line) for line in lines):  # only the exception
        lines = [line for line in lines if not line.startswith((" ", "Traceback"))]
    return ClipstackError(f"`{name}` failed with exit code {code}", hint="\n".join(lines))


def _start(
    command: Sequence[str],
    folder: Path | None,
    environment: Mapping[str, str],
    *,
    output: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    with interrupts.starting_child():
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # bentoml, when terminated, leaves the docker that it runs behind.
            start_new_session=True,
            pass_fds=tuple(_inherited),
        )
        interrupts.add_group(process.pid)
    return process


def _terminate(process: subprocess.Popen[str]) -> None:
    """Terminate a process and its children, and kill them after a while."""
    with contextlib.suppress(ProcessLookupError):
        if not interrupts.received():  # else it has been told
            os.killpg(process.pid, signal.SIGINT)  # bentoml removes its temporary folders
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
