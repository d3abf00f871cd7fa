"""The `docker` program in; what is wrong with it, or facts of its engine and images, out."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from clipstack.errors import ClipstackError, PrerequisiteError

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running Docker engine: its version, and its machine as Docker names it ("amd64")."""

    version: str
    architecture: str


def engine() -> Engine:
    """The engine that `docker` reaches.

    Raises:
        PrerequisiteError: docker is not installed, its engine is not running or does not answer,
            or this user may not use it.
    """
    if not shutil.which("docker"):
        raise PrerequisiteError(
            "Docker is not installed",
            hint="Install Docker Engine or Docker Desktop, or add --no-containerize.",
        )
    done = _docker("version", "--format", "{{json .Server}}")
    if done is None:
        raise PrerequisiteError(
            f"Docker's engine gave no answer in {_SECONDS:.0f} s", hint="Restart Docker."
        )
    if done.returncode:
        raise _trouble(done.stderr)
    facts = json.loads(done.stdout)
    return Engine(str(facts.get("Version", "")), str(facts.get("Arch", "")))


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


def _trouble(stderr: str) -> PrerequisiteError:
    said = " ".join(stderr.split())
    if "permission denied" in said.lower():
        return PrerequisiteError(
            "this user may not use Docker",
            hint="Type `sudo usermod -aG docker $USER`, log in again, or add --no-containerize.",
        )
    if "cannot connect" in said.lower() or "is the docker daemon running" in said.lower():
        return PrerequisiteError(
            "Docker is not running",
            hint="Start Docker Desktop, or type `sudo systemctl start docker`; "
            "or add --no-containerize.",
        )
    return PrerequisiteError(f"Docker can't be used: {said[:300]}", hint="See `docker version`.")
