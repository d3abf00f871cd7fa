"""A command in, its lines as they come and its end out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipstack.errors import ClipstackError

_TAIL = 30
_PATIENCE = 20.0


def stream(
    command: Sequence[str],
    name: str,
    line: Callable[[str], None],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        name: the command as a person would type it, for errors.
        line: called with each line of stdout and stderr, in the order they come.
        folder: where it runs; None for this one.
        environment: all of its variables; None for ours.

    Returns:
        Its last 30 lines.

    Raises:
        ClipstackError: it failed; the hint has its last lines.
    """
    last: deque[str] = deque(maxlen=_TAIL)
    running = _start(command, folder, environment)
    assert running.stdout
    try:
        for text in running.stdout:
            text = text.rstrip()
            if text:
                last.append(text)
                line(text)
        code = running.wait()
    except BaseException:  # Ctrl-C above all: what was started must not go on alone
        _end(running)
        raise
    finally:
        running.stdout.close()
    if code:
        raise ClipstackError(f"`{name}` failed with exit code {code}", hint="\n".join(last))
    return list(last)


class Background:
    """A command that runs while its caller does something else.

    Args:
        command: the program and its arguments.
        name: the command as a person would type it, for errors.
        line: called with each line of stdout and stderr, from a thread.
        environment: all of its variables.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        line: Callable[[str], None],
        *,
        environment: Mapping[str, str],
    ) -> None:
        self._name = name
        self._line = line
        self._last: deque[str] = deque(maxlen=_TAIL)
        self._running = _start(command, None, environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._running.poll() is None

    def check(self) -> None:
        """Wait for its end.

        Raises:
            ClipstackError: it failed; the hint has its last lines.
        """
        code = self._running.wait()
        self._reader.join(_PATIENCE)
        if code:
            raise ClipstackError(
                f"`{self._name}` failed with exit code {code}", hint="\n".join(self._last)
            )

    def end(self) -> None:
        """End it and what it started, if it still runs."""
        if self.is_running:
            _end(self._running)

    def _read(self) -> None:
        assert self._running.stdout
        for text in self._running.stdout:
            if text.strip():
                self._last.append(text.rstrip())
                self._line(text.rstrip())


def _start(
    command: Sequence[str], folder: Path | None, environment: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # bentoml leaves the docker that it runs behind when it is ended
    )


def _end(running: subprocess.Popen[str]) -> None:
    """End a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(_PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
