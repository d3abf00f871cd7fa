"""A target's name in, the settings it stands for out; which one is the current one.

`embedded` is a file of this user's, `stack` the services that `clipstack up` starts, `remote` the
Milvus that a `milvus_uri` outside of any table names; any other is a table [targets.NAME].
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from clipstack.errors import NotFoundError, UsageError
from clipstack.settings import atomic_file, stack_variables
from clipstack.settings.directories import data_dir

EMBEDDED = "embedded"
STACK = "stack"
REMOTE = "remote"
RESERVED = (EMBEDDED, STACK, REMOTE)


def current() -> str:
    """The target that `target use`, `up` or `down` made the current one, or ""."""
    try:
        found = json.loads(_file().read_text("utf-8"))["target"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def use(name: str) -> None:
    """Make `name` the current target of this user."""
    _file().parent.mkdir(parents=True, exist_ok=True)
    atomic_file.replace(_file(), json.dumps({"target": name}))


def current_file() -> str:
    """The file that remembers the current target, as an origin."""
    return str(_file())


def check(name: str, tables: Iterable[str], origin: str) -> None:
    """Raises NotFoundError when there is no target called `name`."""
    known = [EMBEDDED, STACK, *tables]
    if name in known or name == REMOTE:
        return
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise NotFoundError(
        f"there is no target {name!r}",
        hint=f"Targets are: {', '.join(known)}.{meant} It was asked for by {origin}. "
        f"A table [targets.{name}] in clipstack.toml would make it one.",
    )


def check_tables(tables: Mapping[str, Any], origin: str) -> dict[str, dict[str, Any]]:
    """The tables [targets.NAME] of a file, if each can be one.

    Raises:
        UsageError: a name is taken, or what it names is no table.
    """
    for name, table in tables.items():
        if name in RESERVED:
            raise UsageError(f"{origin}: [targets.{name}]: that name is taken")
        if not isinstance(table, dict):
            raise UsageError(f"{origin}: targets.{name} must be a table, [targets.{name}]")
    return dict(tables)


def of_stack(project: str, table: Mapping[str, str]) -> dict[str, str]:
    """The settings that reach the stack called `project`."""
    values = stack_variables.variables(project, table)
    where = stack_variables.addresses(values)
    found = {"milvus_uri": where["milvus"], "encoder_url": where["bentoml"]}
    if values.get("CLIPSTACK_ENCODER_TOKEN"):
        found["encoder_token"] = values["CLIPSTACK_ENCODER_TOKEN"]
    return found


def _file() -> Any:
    return data_dir() / "target.json"
