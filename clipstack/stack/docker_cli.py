"""The `docker` program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.stack.containers import docker_error

_SECONDS = 30.0


def architecture() -> str:
    """The architecture of the machine of Docker's daemon, in Docker's words, such as "amd64".

    Raises:
        PrerequisiteError: docker is not installed, its daemon is not running or does not answer,
            or this user may not use it.
    """
    if not shutil.which("docker"):
        raise _unusable("")
    process = run_docker("version", "--format", "{{.Server.Arch}}")
    if process is None:
        raise _unusable("timed out")
    if process.returncode:
        raise _unusable(process.stderr)
    return process.stdout.strip()


def image_bytes(tag: str) -> int:
    """Size of an image, in bytes.

    Raises:
        ClipstackError: Docker has no such image.
    """
    process = run_docker("image", "inspect", "--format", "{{.Size}}", tag)
    if process is None or process.returncode:
        raise ClipstackError(f"Docker has no image {tag}")
    return int(process.stdout)


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
    try:
        return subprocess.run(
            ["docker", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _unusable(message: str) -> PrerequisiteError:
    error = docker_error(message)
    return PrerequisiteError(error.message, hint=f"{error.hint} Or add --no-containerize.")
