"""A command in, its lines as they come and its end out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
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
    running = subprocess.Popen(
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


def _end(running: subprocess.Popen[str]) -> None:
    """End a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(_PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
