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
HOST = "CLIPSTACK_STACK_HOST"
"""The machine that the services run on, "" for this one: what `up` saves, not a setting."""
DOCKER = "CLIPSTACK_STACK_DOCKER"
ENGINE_ID = "CLIPSTACK_STACK_ENGINE_ID"
"""The URL and the identity of the Docker engine that `up` started the stack in; saved too."""
AUTHORIZATION = "CLIPSTACK_MILVUS_AUTHORIZATION"
MILVUS_PASSWORD = "CLIPSTACK_MILVUS_PASSWORD"
MINIO_PASSWORD = "CLIPSTACK_MINIO_PASSWORD"
SECRETS = (
    MINIO_PASSWORD,
    MILVUS_PASSWORD,
    "CLIPSTACK_S3_SECRET_KEY",
    "CLIPSTACK_ENCODER_TOKEN",
)
# A line of stack.env, which no other character than a line feed ends.
_LINE = re.compile(r"^(CLIPSTACK_\w+)=([^\n]*)$", re.MULTILINE)
_ESCAPES = {"n": "\n", "r": "\r"}
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
    given = {**_saved(project), **table, **overrides}
    values = {**defaults(), **given, PROJECT: project}
    # Docker takes an address alone.
    address = net.bare(values[BIND_ADDRESS].strip())
    values[BIND_ADDRESS] = "127.0.0.1" if address.lower() == "localhost" else address
    if AUTHORIZATION not in given and not net.is_loopback(values[BIND_ADDRESS]):
        values[AUTHORIZATION] = "true"
    return values


def milvus_token(values: Mapping[str, str]) -> str:
    """The token of a stack's Milvus, "" where it asks for none or has no made password yet."""
    password = values[MILVUS_PASSWORD]
    is_made = values[AUTHORIZATION] == "true" and password != defaults()[MILVUS_PASSWORD]
    return f"root:{password}" if is_made else ""


def with_credentials(
    values: Mapping[str, str], in_use: Mapping[str, str], token: str
) -> dict[str, str]:
    """The variables with credentials, made where there are none.

    Args:
        in_use: credentials of the stack's containers, which are kept.
        token: of Milvus, if the user has set one.
    """
    made = {"CLIPSTACK_MINIO_USER": "clipstack", MINIO_PASSWORD: secrets.token_urlsafe(24)}
    if values[AUTHORIZATION] == "true" and values[MILVUS_PASSWORD] == defaults()[MILVUS_PASSWORD]:
        user, _, password = token.partition(":")
        is_root = user == "root" and password
        made[MILVUS_PASSWORD] = password if is_root else secrets.token_urlsafe(24)
    return {
        **values,
        **{
            name: in_use.get(name) or value
            for name, value in made.items()
            if name == MILVUS_PASSWORD or not values.get(name)
        },
    }


def write(project: str, values: Mapping[str, str]) -> Path:
    """Save those variables of a stack that differ from the defaults; returns the file.

    What `variables` would set by itself for an address that others reach is saved too.
    """
    kept = set() if net.is_loopback(values[BIND_ADDRESS]) else {AUTHORIZATION}
    saved = {
        name: value
        for name, value in values.items()
        if value and (name in kept or value != defaults().get(name, ""))
    }
    file = stack_file(project)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [
        "# Written by `clipstack up`. The passwords of the services are kept here alone.",
        *(f'{name}="{_escape(value)}"' for name, value in sorted(saved.items())),
    ]
    content = "".join(f"{line}\n" for line in lines)
    atomic_file.replace(file, content.encode("utf-8", "surrogateescape"), mode=0o600)
    return file


def forget(project: str) -> None:
    """Remove the file that `write` wrote, after the stack's data was deleted."""
    stack_file(project).unlink(missing_ok=True)


def projects() -> list[str]:
    """Names of the stacks whose variables `up` has saved."""
    return sorted(file.parent.name for file in (data_dir() / "stacks").glob("*/stack.env"))


def service_urls(values: Mapping[str, str]) -> dict[str, str]:
    """The URLs by which this machine reaches "etcd", "minio", "milvus", "bentoml" and "attu".

    Services that listen on all addresses of another machine are sought there.

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
    address = values[BIND_ADDRESS]
    if net.is_unspecified(address):
        address = values.get(HOST) or address
    urls = {name: net.url_of(address, values[PREFIX + port]) for name, port in ports.items()}
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
        if "\0" in str(value):
            raise UsageError(f"{origin}: [stack] {name} must not have a NUL character")
        variables[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _saved(project: str) -> dict[str, str]:
    try:
        text = stack_file(project).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ClipstackError(
            f"{stack_file(project)}: can't be read ({error.strerror})",
            hint="Only the user who ran `clipstack up` can use this stack.",
        ) from None
    return {name: _unquote(value) for name, value in _LINE.findall(text)}


def _escape(value: str) -> str:
    """The text that Compose reads as `value` between double quotes of an env file."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    return escaped.replace("\n", r"\n").replace("\r", r"\r")


def _unquote(text: str) -> str:
    """The value of a text of an env file, in quotes or without, as Compose reads it."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "\"'":
        return text
    if text[0] == "'":
        return text[1:-1].replace(r"\'", "'")
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text[1:-1])
