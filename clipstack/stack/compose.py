"""`docker compose`, run with a stack's variables and no others."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clipstack.errors import ClipstackError, ExitCode, PrerequisiteError
from clipstack.settings import project_file, stack_variables
from clipstack.stack import docker_cli, endpoint
from clipstack.stack.deadline import Deadline
from clipstack.stack.services import EXTERNAL_S3, GPUS, SERVICES, StackService
from clipstack.stack.subprocesses import BackgroundProcess

# What compose prints when it gives up on a service that may still become ready.
_RETRYABLE = re.compile(r"dependency failed to start|is unhealthy|exited \(\d+\)")
_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_OVERRIDES = tuple(name.replace(".y", ".override.y") for name in _COMPOSE_FILES)
_PAUSE = 0.2
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
    """compose.yaml, the overlays that the variables need, and the user's override."""
    folder = stack_variables.compose_folder()
    names = ["compose.yaml"]
    names += ["compose.gpu.yaml"] if values.get(GPUS) else []
    names += ["compose.external-s3.yaml"] if values.get(EXTERNAL_S3) else []
    override = override_file(values)
    return [folder / name for name in names] + ([override] if override else [])


def override_file(values: Mapping[str, str]) -> Path | None:
    """The user's compose.override.yaml: beside clipstack.toml, or in this folder where there is no
    clipstack.toml; else in the folder with the stack's variables.

    One that stands beside a Compose file belongs to that one.
    """
    settings_file = project_file()
    folders = [settings_file.parent if settings_file else Path.cwd()]
    if values.get(stack_variables.PROJECT):
        folders.append(stack_variables.stack_folder(values[stack_variables.PROJECT]))
    for folder in folders:
        if any((folder / name).is_file() for name in _COMPOSE_FILES):
            continue
        for name in _OVERRIDES:
            if (folder / name).is_file():
                return folder / name
    return None


def override_services(project: str, values: Mapping[str, str]) -> list[str]:
    """Names of the services that the user's override adds and no profile excludes.

    Raises:
        ClipstackError: compose can't read the files.
    """
    if not override_file(values):
        return []
    output = _config(project, values, [], "--services")
    return [name for name in output.split() if name not in SERVICES]


def resolved(
    project: str, values: Mapping[str, str], services: Sequence[StackService], *, json: bool = False
) -> str:
    """The Compose file that `up` would use, in one, with secrets as ${CLIPSTACK_...:?}.

    Args:
        json: whether to write it as JSON, not as YAML.

    Raises:
        PrerequisiteError: `docker` is not installed.
        ClipstackError: compose can't read the files.
    """
    defaults = stack_variables.defaults()
    required = (stack_variables.MINIO_PASSWORD,)
    secrets = {
        name: f"clipstack-secret-{number}-"
        for number, name in enumerate(stack_variables.SECRETS)
        if name in required or values.get(name, "") not in ("", defaults[name])
    }
    form = "json" if json else "yaml"
    text = _config(project, {**values, **secrets}, services, f"--format={form}")
    for name, placeholder in secrets.items():
        text = text.replace(placeholder, f"${{{name}:?}}")
    return text


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """All variables of a compose process; none of the caller's that would change the stack.

    Raises:
        PrerequisiteError: as `endpoint.current`.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLIPSTACK_", "COMPOSE_"))
    }
    stack = {name: value for name, value in values.items() if value}
    own = {"COMPOSE_DISABLE_ENV_FILE": "1", "COMPOSE_ANSI": "never"}
    return endpoint.current().environment(inherited | stack | own)


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
    deadline: Deadline,
) -> None:
    """Fetch the services' images, also where an older image has the same tag.

    Raises:
        PrerequisiteError: an image can't be fetched.
        ClipstackError: compose failed, and the hint has its last lines; or the deadline is over
            (exit code 124).
    """
    command = _command(project, values, services, "pull")
    variables = environment(values)
    process = BackgroundProcess(command, "docker compose pull", on_line, environment=variables)
    try:
        while process.is_running:
            if not deadline.left:
                names = ", ".join(service.name for service in services)
                raise ClipstackError(
                    f"the images of {names} are not fetched after {deadline.elapsed:.0f} s",
                    hint="`clipstack up --pull --timeout SECONDS` goes on with what is missing.",
                    code=ExitCode.TIMEOUT,
                )
            time.sleep(_PAUSE)
        process.wait()
    except ClipstackError as error:
        raise explain_failure(error) if error.code == ExitCode.FAILED else error from None
    finally:
        process.terminate()


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


def _config(
    project: str, values: Mapping[str, str], services: Sequence[StackService], option: str
) -> str:
    arguments = _command(project, values, services, "config", option)[1:]
    # What compose.yaml requires, and the first `up` makes.
    required = {"CLIPSTACK_MINIO_USER": "clipstack", stack_variables.MINIO_PASSWORD: "-"}
    variables = environment(required | {name: value for name, value in values.items() if value})
    process = docker_cli.run_docker(*arguments, environment=variables)
    if process is None:
        raise PrerequisiteError("`docker` can't be run", hint="Install Docker with Compose.")
    if process.returncode:
        raise ClipstackError(
            "Compose can't read the stack's files",
            hint="\n".join([*process.stderr.strip().splitlines()[-8:], *map(str, files(values))]),
        )
    return process.stdout


def _command(
    project: str, values: Mapping[str, str], services: Sequence[StackService], *arguments: str
) -> list[str]:
    override = override_file(values)
    return [
        *("docker", "compose", "--progress=plain", f"--project-name={project}"),
        # Compose would take the paths in an override as relative to the first file.
        *((f"--project-directory={override.parent}",) if override else ()),
        *(f"--file={file}" for file in files(values)),
        *(f"--profile={service.name}" for service in services if service.optional),
        *arguments,
        *(service.name for service in services),
    ]
