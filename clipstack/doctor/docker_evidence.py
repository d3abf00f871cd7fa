"""A stack's name in; what Docker and Compose say of it, for someone who looks for a fault, out.

What is returned holds secrets as it comes; doctor/redaction.py takes them out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from clipstack.errors import PrerequisiteError
from clipstack.stack import compose, containers
from clipstack.stack.containers import PROJECT_LABEL

_SECONDS = 5.0


def of_engine() -> dict[str, Any]:
    """`docker version` and `docker info`, or what is wrong with Docker."""
    try:
        client = containers.client(_SECONDS)
        return {"version": client.version(), "info": client.info()}
    except PrerequisiteError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:  # the engine may go away between two questions
        return {"error": str(error)}


def of_containers(project: str, lines: int) -> tuple[dict[str, Any], dict[str, str]]:
    """What `docker inspect` says of each container of a stack, and the end of its log, by name.

    Args:
        lines: of each log.
    """
    try:
        api = containers.client(_SECONDS).api
        listed = api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={project}"})
    except Exception:  # `of_engine` says why
        return {}, {}
    facts: dict[str, Any] = {}
    logs: dict[str, str] = {}
    for one in listed:
        name = one["Names"][0].lstrip("/")
        try:
            facts[name] = api.inspect_container(one["Id"])
            logs[name] = api.logs(one["Id"], tail=lines, timestamps=True).decode("utf-8", "replace")
        except Exception as error:  # removed by now, or a log driver that can't be read
            logs[name] = f"can't be read: {error}"
    return facts, logs


def compose_config(values: Mapping[str, str]) -> str:
    """The stack as Compose reads it, as YAML."""
    line = ["docker", "compose", *(f"--file={file}" for file in compose.files(values)), "config"]
    world = compose.environment(values)
    for name in ("CLIPSTACK_MINIO_USER", "CLIPSTACK_MINIO_PASSWORD"):
        world.setdefault(name, "(not made yet)")
    try:
        done = subprocess.run(
            line, env=world, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"can't be read: {error}\n"
    return done.stdout or done.stderr
