"""The `docker` program in; what is wrong with it, or facts of its engine and images, out."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.stack.containers import trouble

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running Docker engine: its version, and its machine as Docker names it ("amd64")."""

    version: str
    architecture: str


def docker_engine() -> DockerEngine:
    """The engine that `docker` reaches.

    Raises:
        PrerequisiteError: docker is not installed, its engine is not running or does not answer,
            or this user may not use it.
    """
    if not shutil.which("docker"):
        raise _trouble("")
    done = _docker("version", "--format", "{{json .Server}}")
    if done is None:
        raise _trouble("timed out")
    if done.returncode:
        raise _trouble(done.stderr)
    facts = json.loads(done.stdout)
    return DockerEngine(str(facts.get("Version", "")), str(facts.get("Arch", "")))


def image_bytes(tag: str) -> int:
    """Size of an image, in bytes.

    Raises:
        ClipstackError: there is no such image.
    """
    done = _docker("image", "inspect", "--format", "{{.Size}}", tag)
    if done is None or done.returncode:
        raise ClipstackError(f"there is no image {tag} in Docker's engine")
    return int(done.stdout)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None


def _trouble(said: str) -> PrerequisiteError:
    found = trouble(said)
    return PrerequisiteError(found.message, hint=f"{found.hint} Or add --no-containerize.")
