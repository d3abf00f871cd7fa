"""`docker compose`, run with a stack's variables and no others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.settings import stack_variables
from clipstack.stack.services import EXTERNAL_S3, GPUS, StackService
from clipstack.stack.subprocesses import BackgroundProcess, stream

# What compose prints when it gives up on a service that may still become ready.
_RETRYABLE = re.compile(r"dependency failed to start|is unhealthy|exited \(\d+\)")
_KNOWN_FAILURES = (
    (
        r"port is already allocated|address already in use",
        "a port of the stack is in use by now",
        "`clipstack up` names it, and what holds it.",
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
    (r"no space left on device", "the disk is full", "`docker system df` shows what uses it."),
)


def files(values: Mapping[str, str]) -> list[Path]:
    """compose.yaml, and the overlays that the variables need."""
    folder = stack_variables.compose_folder()
    names = ["compose.yaml"]
    names += ["compose.gpu.yaml"] if values.get(GPUS) else []
    names += ["compose.external-s3.yaml"] if values.get(EXTERNAL_S3) else []
    return [folder / name for name in names]


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """All variables of a compose process; none of the caller's that would change the stack."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLIPSTACK_", "COMPOSE_"))
    }
    stack = {name: value for name, value in values.items() if value}
    return inherited | stack | {"COMPOSE_DISABLE_ENV_FILE": "1", "COMPOSE_ANSI": "never"}


def up(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    on_line: Callable[[str], None],
) -> BackgroundProcess:
    """Start `docker compose up -d` for these services."""
    command = _command(project, values, services, "up", "--detach", "--no-build")
    return BackgroundProcess(command, "docker compose up", on_line, environment=environment(values))


def pull(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    on_line: Callable[[str], None],
) -> None:
    """Fetch the services' images, also where an older image has the same tag.

    Raises:
        PrerequisiteError: an image can't be fetched.
        ClipstackError: compose failed; the hint has its last lines.
    """
    command = _command(project, values, services, "pull")
    try:
        stream(command, "docker compose pull", on_line, environment=environment(values))
    except ClipstackError as error:
        raise explain_failure(error) from None


def is_retryable(error: ClipstackError) -> bool:
    """Whether compose gave up only because a service was not ready at once."""
    return bool(_RETRYABLE.search(error.hint))


def explain_failure(error: ClipstackError) -> ClipstackError:
    """Compose's error with a hint what to do, where its cause is known."""
    lines = [line.strip() for line in error.hint.splitlines()]
    for pattern, message, hint in _KNOWN_FAILURES:
        matches = [line for line in lines if re.search(pattern, line, re.IGNORECASE)]
        if matches:
            return PrerequisiteError(f"{message}: {matches[-1][:300]}", hint=hint)
    return ClipstackError(error.message, hint="\n".join(lines[-8:]), code=error.code)


def _command(
    project: str, values: Mapping[str, str], services: Sequence[StackService], *arguments: str
) -> list[str]:
    return [
        *("docker", "compose", "--progress=plain", f"--project-name={project}"),
        *(f"--file={file}" for file in files(values)),
        *(f"--profile={service.name}" for service in services if service.optional),
        *arguments,
        *(service.name for service in services),
    ]
