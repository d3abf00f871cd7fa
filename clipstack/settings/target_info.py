"""Descriptions of the targets, and the choice of the current one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import Settings, display_value, load, targets

_SETTINGS = {
    targets.EMBEDDED: ("database", "index", "index_params", "encoder_url"),
    "": (
        *("milvus_uri", "milvus_token", "milvus_database"),
        *("tls_ca", "tls_cert", "tls_key", "tls_server_name"),
        *("index", "index_params", "search_params", "encoder_url", "encoder_token"),
    ),
}
"""The settings that describe a target, by its name; "" for any other name."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    Attributes:
        name: what `--target` takes.
        location: the path of the database, or the URI of the Milvus server.
        encoder: URLs of the services that encode, or "" for this process.
        current: whether commands without `--target` use it.
        settings: its settings by name, secrets as "(set)".
        problem: why it can't be used, or "".
    """

    name: str
    location: str
    encoder: str
    current: bool = False
    settings: dict[str, Any] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TargetChange:
    """The new current target, and the origin of a setting that overrides it, or ""."""

    target: Target
    overridden_by: str


def describe(loaded: Settings, *, current: str = "") -> Target:
    """The target of these settings.

    Args:
        current: the name of the current target; by default it is the one described.
    """
    names = _SETTINGS.get(loaded.target, _SETTINGS[""])
    values = {name: display_value(loaded, name) for name in names}
    return Target(
        name=loaded.target,
        location=loaded.location,
        encoder=" ".join(loaded.encoder_urls),
        current=loaded.target == (current or loaded.target),
        settings={name: value for name, value in values.items() if value},
    )


def list_all(loaded: Settings, *, config: Path | None = None) -> list[Target]:
    """All targets; one whose settings are invalid has a `problem`.

    Args:
        loaded: the settings of the current target.
        config: as for `load`.
    """
    names = [targets.EMBEDDED, targets.STACK, *loaded.targets]
    if loaded.target not in names:
        names.append(loaded.target)
    described = []
    for name in names:
        try:
            settings = loaded if name == loaded.target else load({"target": name}, config=config)
            described.append(describe(settings, current=loaded.target))
        except ClipstackError as error:
            described.append(Target(name, "", "", problem=error.message))
    return described


def use(name: str, *, config: Path | None = None) -> TargetChange:
    """Make `name` the current target of this user's commands for the present stack.

    Raises:
        NotFoundError: there is no such target.
        UsageError: its settings are invalid, or it is "remote", which needs no choosing.
    """
    if name == targets.REMOTE:
        raise UsageError(
            "the target 'remote' is wherever `milvus_uri` says, and needs no choosing",
            hint="Set CLIPSTACK_MILVUS_URI, or give it a name: [targets.NAME] in clipstack.toml.",
        )
    settings = load({"target": name}, config=config)
    targets.use(name, settings.project)
    in_force = load(config=config)
    origin = "" if in_force.target == name else in_force.origins.get("target", "")
    return TargetChange(describe(settings), origin)
