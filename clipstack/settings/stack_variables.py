"""A stack's name in, the values of the variables in compose.yaml for it out.

The defaults stand in compose.yaml. On top of them lie what `up` wrote down for this stack (so that
the next command finds it where it is), the [stack] tables of the settings files, and CLIPSTACK_*
in the environment.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import atomic_file
from clipstack.settings.directories import data_dir

PREFIX = "CLIPSTACK_"
PROJECT = "CLIPSTACK_PROJECT"
SECRETS = ("CLIPSTACK_MINIO_PASSWORD", "CLIPSTACK_S3_SECRET_KEY", "CLIPSTACK_ENCODER_TOKEN")
_VARIABLE = re.compile(r"\$\{(CLIPSTACK_[A-Z0-9_]+)(?::-([^}]*)|:\?[^}]*)?\}")


def compose_folder() -> Path:
    """The folder with compose.yaml and its overlays: in the package, or of the clone.

    Raises:
        ClipstackError: it is in neither.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "stack" / "home" / "compose", package.parent / "compose"):
        if (folder / "compose.yaml").is_file():
            return folder
    raise ClipstackError("this installation has no compose.yaml", hint="Install clipstack again.")


@cache
def defaults() -> Mapping[str, str]:
    """Every variable of compose.yaml and its overlays, with its default ("" where it has none)."""
    found: dict[str, str] = {}
    for file in sorted(compose_folder().glob("*.yaml")):
        for name, value in _VARIABLE.findall(file.read_text("utf-8")):
            found[name] = found.get(name) or value
    return found


def stack_folder(project: str) -> Path:
    """Where what belongs to this stack is kept."""
    return data_dir() / "stacks" / project


def stack_file(project: str) -> Path:
    """The file with this stack's variables, credentials included; only its owner can read it."""
    return stack_folder(project) / "stack.env"


def variables(
    project: str,
    table: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The value of every variable for the stack called `project`.

    Args:
        table: of the settings files' [stack] tables, by the variable's name.
        environment: that of this process by default.
    """
    surroundings = os.environ if environment is None else environment
    given = {name: value for name, value in surroundings.items() if name in defaults() and value}
    merged = {**defaults(), **_written(project), **table, **given}
    return {**merged, PROJECT: project}


def write(project: str, values: Mapping[str, str]) -> Path:
    """Write a stack's variables down, those that differ from the defaults; returns the file.

    Credentials that `values` lacks are made. They stay the same for as long as the file exists.
    """
    made = {
        "CLIPSTACK_MINIO_USER": "clipstack",
        "CLIPSTACK_MINIO_PASSWORD": secrets.token_urlsafe(24),
    }
    kept = {name: value for name, value in values.items() if value != defaults().get(name, "")}
    kept = {**made, **{name: value for name, value in kept.items() if value}}
    file = stack_file(project)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [
        "# Written by `clipstack up`. The password of the object store is kept here alone.",
        *(f"{name}='{value}'" for name, value in sorted(kept.items())),
    ]
    atomic_file.replace(file, "\n".join(lines) + "\n", mode=0o600)
    return file


def forget(project: str) -> None:
    """Remove what `write` wrote: its data is gone, and so are its credentials."""
    stack_file(project).unlink(missing_ok=True)


def projects() -> list[str]:
    """Names of the stacks that `up` has written down."""
    return sorted(file.parent.name for file in (data_dir() / "stacks").glob("*/stack.env"))


def addresses(values: Mapping[str, str]) -> dict[str, str]:
    """Where this machine reaches each service: "etcd", "minio", "milvus", "bentoml", "attu" -> URL.

    "health" is Milvus' second port, for /healthz and its metrics.
    """
    bind = values["CLIPSTACK_BIND_ADDRESS"]
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(bind, bind)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    ports = {
        "etcd": "ETCD_PORT",
        "minio": "MINIO_PORT",
        "milvus": "MILVUS_PORT",
        "health": "MILVUS_HEALTH_PORT",
        "bentoml": "BENTOML_PORT",
        "attu": "ATTU_PORT",
    }
    return {name: f"http://{host}:{values[PREFIX + port]}" for name, port in ports.items()}


def from_table(table: Mapping[str, object], origin: str) -> dict[str, str]:
    """The variables a settings file's [stack] table sets.

    Raises:
        UsageError: it names no variable of the stack, or a value is no text or number.
    """
    found: dict[str, str] = {}
    for name, value in table.items():
        variable = PREFIX + name.upper()
        if variable not in defaults() or variable == PROJECT:
            known = ", ".join(
                sorted(n.removeprefix(PREFIX).lower() for n in defaults() if n != PROJECT)
            )
            raise UsageError(f"{origin}: [stack] has no {name!r}", hint=f"It has: {known}.")
        if not isinstance(value, str | int):
            raise UsageError(f"{origin}: [stack] {name} must be a text or a number")
        found[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def _written(project: str) -> dict[str, str]:
    try:
        text = stack_file(project).read_text("utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ClipstackError(
            f"{stack_file(project)}: can't be read ({error.strerror})",
            hint="Only the user who ran `clipstack up` can use this stack.",
        ) from None
    pairs = [line.split("=", 1) for line in text.splitlines() if re.match(r"CLIPSTACK_\w+=", line)]
    return {name: value.strip("'") for name, value in pairs}
