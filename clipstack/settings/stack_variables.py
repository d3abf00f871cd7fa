"""Variables of a stack's compose.yaml.

The layers, weakest first: the defaults in compose.yaml, the values that `up` saved for the stack
(so that the next command finds it where it is), the [stack] tables of the settings files, and
CLIPSTACK_* in the environment.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from clipstack import net
from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import atomic_file
from clipstack.settings.directories import data_dir

PREFIX = "CLIPSTACK_"
PROJECT = "CLIPSTACK_PROJECT"
BIND_ADDRESS = "CLIPSTACK_BIND_ADDRESS"
SECRETS = ("CLIPSTACK_MINIO_PASSWORD", "CLIPSTACK_S3_SECRET_KEY", "CLIPSTACK_ENCODER_TOKEN")
_VARIABLE = re.compile(r"\$\{(CLIPSTACK_[A-Z0-9_]+)(?::-([^}]*)|:\?[^}]*)?\}")


def compose_folder() -> Path:
    """The folder with compose.yaml and its overlays, in the package or in the clone.

    Raises:
        ClipstackError: there is none.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "stack" / "home" / "compose", package.parent / "compose"):
        if (folder / "compose.yaml").is_file():
            return folder
    raise ClipstackError("this installation has no compose.yaml", hint="Install clipstack again.")


@cache
def defaults() -> Mapping[str, str]:
    """Every variable of compose.yaml and its overlays, with its default ("" where it has none)."""
    variables: dict[str, str] = {}
    for file in sorted(compose_folder().glob("*.yaml")):
        for name, value in _VARIABLE.findall(file.read_text("utf-8")):
            variables[name] = variables.get(name) or value
    return variables


def stack_folder(project: str) -> Path:
    """The folder for the files of a stack."""
    return data_dir() / "stacks" / project


def stack_file(project: str) -> Path:
    """The file with a stack's variables and credentials; only its owner can read it."""
    return stack_folder(project) / "stack.env"


def variables(
    project: str,
    table: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The values of all variables for the stack called `project`.

    Args:
        table: variables from the [stack] tables of the settings files.
        environment: by default that of this process.
    """
    if environment is None:
        environment = os.environ
    overrides = {name: value for name, value in environment.items() if name in defaults() and value}
    values = {**defaults(), **_saved(project), **table, **overrides, PROJECT: project}
    # Docker takes an address alone.
    address = net.bare(values[BIND_ADDRESS].strip())
    values[BIND_ADDRESS] = "127.0.0.1" if address.lower() == "localhost" else address
    return values


def write(project: str, values: Mapping[str, str]) -> Path:
    """Save those variables of a stack that differ from the defaults; returns the file.

    Credentials that `values` lacks are generated. They stay the same as long as the file exists.
    """
    credentials = {
        "CLIPSTACK_MINIO_USER": "clipstack",
        "CLIPSTACK_MINIO_PASSWORD": secrets.token_urlsafe(24),
    }
    changed = {
        name: value for name, value in values.items() if value and value != defaults().get(name, "")
    }
    saved = credentials | changed
    file = stack_file(project)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [
        "# Written by `clipstack up`. The password of the object store is kept here alone.",
        *(f"{name}='{value}'" for name, value in sorted(saved.items())),
    ]
    atomic_file.replace(file, "\n".join(lines) + "\n", mode=0o600)
    return file


def forget(project: str) -> None:
    """Remove the file that `write` wrote, after the stack's data was deleted."""
    stack_file(project).unlink(missing_ok=True)


def projects() -> list[str]:
    """Names of the stacks whose variables `up` has saved."""
    return sorted(file.parent.name for file in (data_dir() / "stacks").glob("*/stack.env"))


def service_urls(values: Mapping[str, str]) -> dict[str, str]:
    """The URLs by which this machine reaches "etcd", "minio", "milvus", "bentoml" and "attu".

    "health" is Milvus' second port, for /healthz and its metrics. No proxy is used for them.
    """
    ports = {
        "etcd": "ETCD_PORT",
        "minio": "MINIO_PORT",
        "milvus": "MILVUS_PORT",
        "health": "MILVUS_HEALTH_PORT",
        "bentoml": "BENTOML_PORT",
        "attu": "ATTU_PORT",
    }
    urls = {
        name: net.url_of(values[BIND_ADDRESS], values[PREFIX + port])
        for name, port in ports.items()
    }
    net.reach_directly(urls["milvus"])
    return urls


def from_table(table: Mapping[str, object], origin: str) -> dict[str, str]:
    """The variables that a settings file's [stack] table sets.

    Args:
        origin: the file, for the error.

    Raises:
        UsageError: there is no such variable, or a value is neither a text nor a number.
    """
    variables: dict[str, str] = {}
    for name, value in table.items():
        variable = PREFIX + name.upper()
        if variable not in defaults() or variable == PROJECT:
            names = ", ".join(
                sorted(n.removeprefix(PREFIX).lower() for n in defaults() if n != PROJECT)
            )
            raise UsageError(f"{origin}: [stack] has no {name!r}", hint=f"It has: {names}.")
        if not isinstance(value, str | int):
            raise UsageError(f"{origin}: [stack] {name} must be a text or a number")
        variables[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _saved(project: str) -> dict[str, str]:
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
