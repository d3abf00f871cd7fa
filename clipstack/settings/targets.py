"""Names of targets, and the current one.

`embedded` is a database file of this user, `stack` the services that `clipstack up` starts,
`remote` the Milvus of a `milvus_uri` outside of any table; any other target is a table
[targets.NAME].
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
    """The target that `target use`, `up` or `down` made current, or ""."""
    try:
        name = json.loads(_file().read_text("utf-8"))["target"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def use(name: str) -> None:
    """Make `name` the current target of this user."""
    _file().parent.mkdir(parents=True, exist_ok=True)
    atomic_file.replace(_file(), json.dumps({"target": name}))


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
    return settings


def _file() -> Any:
    return data_dir() / "target.json"
