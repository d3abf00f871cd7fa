"""The `docker` program, and the `ssh` that it connects by."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO

_SECONDS = 30.0


def run_docker(
    *arguments: str, seconds: float = _SECONDS, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str] | None:
    """Run `docker` to its end.

    Args:
        seconds: until it is killed.
        environment: all of its variables; None for this process's own.

    Returns:
        Its exit code and output; None if it can't be started, or was killed.
    """
    return _run(["docker", *arguments], seconds, environment)


def dial_stdio(
    environment: Mapping[str, str], connection: socket.socket, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `docker system dial-stdio`, which connects `connection` to Docker's engine.

    Args:
        environment: all of its variables.
        errors: the file that its messages are written to.
    """
    return subprocess.Popen(
        ["docker", "system", "dial-stdio"],
        env=environment,
        stdin=connection.fileno(),
        stdout=connection.fileno(),
        stderr=errors,
        # Ctrl-C is for this process, which may have to stop containers then.
        start_new_session=True,
    )


@cache
def ssh_host_name(host: str) -> str:
    """The address that ssh connects to for `host`, which may be an alias of ~/.ssh/config."""
    process = _run(["ssh", "-G", "--", host], _SECONDS, None)
    lines = process.stdout.splitlines() if process else []
    names = [line.split()[1] for line in lines if line.startswith("hostname ")]
    return names[0] if names else host


def _run(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
