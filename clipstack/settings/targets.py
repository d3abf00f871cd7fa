"""Names of targets, and the current one.

`embedded` is a database file of this user, `stack` the services that `clipstack up` starts,
`remote` the Milvus of a `milvus_uri` outside of any table; any other target is a table
[targets.NAME].
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clipstack.errors import NotFoundError, UsageError
from clipstack.settings import atomic_file, stack_variables
from clipstack.settings.directories import data_dir

EMBEDDED = "embedded"
STACK = "stack"
REMOTE = "remote"
RESERVED = (EMBEDDED, STACK, REMOTE)
DEFAULT_PROJECT = "clipstack"


def current(project: str) -> str:
    """The target that `target use`, `up` or `down` made current, or "".

    Each stack has its own, so that CLIPSTACK_PROJECT changes nothing for commands without it. One
    that has none yet has that of the default stack.
    """
    by_project = _by_project()
    return by_project.get(project) or by_project.get(DEFAULT_PROJECT, "")


def use(name: str, project: str) -> None:
    """Make `name` the current target of this user's commands for the stack called `project`."""
    _file().parent.mkdir(parents=True, exist_ok=True)
    atomic_file.replace(_file(), json.dumps({"targets": _by_project() | {project: name}}))


def enter_stack(project: str) -> bool:
    """Make `stack` the current target for `project`; returns whether it was another one."""
    if current(project) == STACK:
        return False
    use(STACK, project)
    return True


def leave_stack(project: str) -> bool:
    """Make `embedded` the current target for `project` if it is `stack`; returns whether it was."""
    if current(project) != STACK:
        return False
    use(EMBEDDED, project)
    return True


def current_file() -> str:
    """The path of the file with the current target, as the origin of that setting."""
    return str(_file())


def check(name: str, tables: Iterable[str], origin: str) -> None:
    """Check that there is a target called `name`.

    Args:
        tables: names of the [targets.NAME] tables.
        origin: where the name came from, for the error.

    Raises:
        NotFoundError: there is none.
    """
    names = [EMBEDDED, STACK, *tables]
    if name in names or name == REMOTE:
        return
    close = difflib.get_close_matches(name, names, n=1)
    suggestion = f" Did you mean {close[0]}?" if close else ""
    raise NotFoundError(
        f"there is no target {name!r}",
        hint=f"Targets are: {', '.join(names)}.{suggestion} It was asked for by {origin}. "
        f"A table [targets.{name}] in clipstack.toml would make it one.",
    )


def check_tables(tables: Mapping[str, Any], origin: str) -> dict[str, dict[str, Any]]:
    """The [targets.NAME] tables of a file, checked.

    Raises:
        UsageError: a name is reserved, or a value is not a table.
    """
    for name, table in tables.items():
        if name in RESERVED:
            raise UsageError(f"{origin}: [targets.{name}]: that name is taken")
        if not isinstance(table, dict):
            raise UsageError(f"{origin}: targets.{name} must be a table, [targets.{name}]")
    return dict(tables)


def stack_settings(project: str, table: Mapping[str, str]) -> dict[str, str]:
    """The settings that reach the stack called `project`."""
    values = stack_variables.variables(project, table)
    urls = stack_variables.service_urls(values)
    settings = {"milvus_uri": urls["milvus"], "encoder_url": urls["bentoml"]}
    if values.get("CLIPSTACK_ENCODER_TOKEN"):
        settings["encoder_token"] = values["CLIPSTACK_ENCODER_TOKEN"]
    if token := stack_variables.milvus_token(values):
        settings["milvus_token"] = token
    return settings


def _by_project() -> dict[str, str]:
    """The current target of each stack."""
    try:
        names = json.loads(_file().read_text("utf-8"))["targets"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {project: name for project, name in names if isinstance(name, str)}


def _file() -> Path:
    return data_dir() / "target.json"
