"""A stack's variables in; `docker compose` run with exactly these out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.settings import stack_variables
from clipstack.stack.services import EXTERNAL_S3, GPUS, StackService
from clipstack.stack.subprocesses import Background, stream

# What compose says when it gives up on a service that may yet come.
_IMPATIENT = re.compile(r"dependency failed to start|is unhealthy|exited \(\d+\)")
_EXPLAINED = (
    (
        r"port is already allocated|address already in use",
        "a port of the stack was taken meanwhile",
        "`clipstack up` names it, and who holds it.",
    ),
    (
        r'could not select device driver "?nvidia|nvidia-container',
        "Docker has no access to an NVIDIA GPU",
        "Install the NVIDIA Container Toolkit, or add --no-gpu.",
    ),
    (
        r"pull access denied|manifest (unknown|for)|repository .*not found|failed to resolve|"
        r"no such host|lookup |i/o timeout|connection refused|net/http|unauthorized",
        "an image can't be fetched",
        "Fetch it elsewhere and `docker load` it, or name another one: for example "
        "CLIPSTACK_MILVUS_IMAGE=registry.example.com/milvus:v2.6.25.",
    ),
    (r"no space left on device", "the disk is full", "`docker system df` shows what takes it."),
)


def files(values: Mapping[str, str]) -> list[Path]:
    """compose.yaml, and the overlays that the variables ask for."""
    folder = stack_variables.compose_folder()
    found = [folder / "compose.yaml"]
    found += [folder / "compose.gpu.yaml"] if values.get(GPUS) else []
    found += [folder / "compose.external-s3.yaml"] if values.get(EXTERNAL_S3) else []
    return found


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """All variables of a compose process: nothing of the caller's may change the stack."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLIPSTACK_", "COMPOSE_"))
    }
    given = {name: value for name, value in values.items() if value}
    return kept | given | {"COMPOSE_DISABLE_ENV_FILE": "1", "COMPOSE_ANSI": "never"}


def up(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    line: Callable[[str], None],
) -> Background:
    """Start `docker compose up -d` for these services."""
    profiles = [f"--profile={one.name}" for one in services if one.optional]
    names = [one.name for one in services]
    command = _command(project, values, *profiles, "up", "--detach", "--no-build", *names)
    return Background(command, "docker compose up", line, environment=environment(values))


def pull(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    line: Callable[[str], None],
) -> None:
    """Fetch the services' images, newer ones of the same tag included.

    Raises:
        PrerequisiteError: an image can't be had.
        ClipstackError: compose failed; the hint has its last lines.
    """
    profiles = [f"--profile={one.name}" for one in services if one.optional]
    names = [one.name for one in services]
    command = _command(project, values, *profiles, "pull", *names)
    try:
        stream(command, "docker compose pull", line, environment=environment(values))
    except ClipstackError as error:
        raise explained(error) from None


def is_impatient(error: ClipstackError) -> bool:
    """Whether compose gave up only because a service was not ready at once."""
    return bool(_IMPATIENT.search(error.hint))


def explained(error: ClipstackError) -> ClipstackError:
    """Compose's error with what to do about it, where that is known."""
    last = [line.strip() for line in error.hint.splitlines()]
    for pattern, message, hint in _EXPLAINED:
        said = [line for line in last if re.search(pattern, line, re.IGNORECASE)]
        if said:
            return PrerequisiteError(f"{message}: {said[-1][:300]}", hint=hint)
    return ClipstackError(error.message, hint="\n".join(last[-8:]), code=error.code)


def _command(project: str, values: Mapping[str, str], *arguments: str) -> list[str]:
    named = [f"--file={file}" for file in files(values)]
    return [
        "docker",
        "compose",
        "--progress=plain",
        f"--project-name={project}",
        *named,
        *arguments,
    ]
