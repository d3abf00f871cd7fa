"""What Docker and Compose know of a stack, for a bug report.

It may contain secrets, which doctor/redaction.py removes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipstack.errors import PrerequisiteError
from clipstack.stack import compose, containers, docker_cli, endpoint
from clipstack.stack.containers import PROJECT_LABEL

_SECONDS = 5.0


def daemon_info() -> dict[str, Any]:
    """`docker version` and `docker info`, or what is wrong with Docker."""
    try:
        client = containers.client(_SECONDS)
        used = str(endpoint.current())
        return {"endpoint": used, "version": client.version(), "info": client.info()}
    except PrerequisiteError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:  # Docker may stop between two requests
        return {"error": str(error)}


def inspect_containers(project: str, lines: int) -> tuple[dict[str, Any], dict[str, str]]:
    """`docker inspect` of each container of a stack, and the end of its log, by name.

    Args:
        lines: of each log.
    """
    try:
        api = containers.client(_SECONDS).api
        listed = api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={project}"})
    except Exception:  # `daemon_info` says why
        return {}, {}
    inspected: dict[str, Any] = {}
    logs: dict[str, str] = {}
    for entry in listed:
        key, name = entry["Id"], entry["Names"][0].lstrip("/")
        try:
            inspected[name] = api.inspect_container(key)
            logs[name] = api.logs(key, tail=lines, timestamps=True).decode("utf-8", "replace")
        except Exception as error:  # removed by now, or a log driver that can't be read
            logs[name] = f"can't be read: {error}"
    return inspected, logs


def compose_config(values: Mapping[str, str]) -> str:
    """The stack as Compose reads it, as YAML."""
    files = (f"--file={file}" for file in compose.files(values))
    try:
        environment = compose.environment(values)
    except PrerequisiteError as error:
        return f"{error.message}\n"
    for name in ("CLIPSTACK_MINIO_USER", "CLIPSTACK_MINIO_PASSWORD"):
        environment.setdefault(name, "(not made yet)")
    process = docker_cli.run_docker(
        "compose", *files, "config", seconds=_SECONDS, environment=environment
    )
    if process is None:
        return f"`docker compose config` can't be run, or takes more than {_SECONDS:g} s\n"
    return process.stdout or process.stderr
