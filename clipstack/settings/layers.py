"""The layers that settings come from, merged.

The layers, weakest first: built-in defaults, the target that `target use` chose, the user's file,
the project's `clipstack.toml` (the nearest one in this folder or above it), the target's own
table, `CLIPSTACK_*` variables, flags of the command.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipstack.errors import NotFoundError, UsageError
from clipstack.settings import stack_variables, targets
from clipstack.settings.directories import project_file, user_file
from clipstack.settings.fields import NAMES, Settings, attribute, parse

_FILES = ("database", "tls_ca", "tls_cert", "tls_key")


def load(flags: Mapping[str, object] | None = None, *, config: Path | None = None) -> Settings:
    """Read the settings from all layers.

    Args:
        flags: values given on the command line by setting name; None means not given.
        config: one file to read instead of the user's and the project's.

    Raises:
        NotFoundError: `config` does not exist, or there is no such target.
        UsageError: a file, variable or flag has an unknown setting or an invalid value.
    """
    layers = _Layers()
    for path in [config] if config else _default_files():
        layers.read(path)
    for name in NAMES:
        variable = f"CLIPSTACK_{name.upper()}"
        if os.environ.get(variable):
            layers.environment[name] = (os.environ[variable], variable)
    for name, value in (flags or {}).items():
        if value is not None:
            layers.flags[name] = (value, f"--{name.replace('_', '-')}")
    return layers.settings()


class _Layers:
    """The values of the layers, and the settings they add up to.

    Attributes:
        values, origins: of the files and targets, by setting.
        environment, flags: value and origin, by setting.
        tables: the [targets.NAME] tables, each with its file.
        stack: variables of the [stack] tables.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.environment: dict[str, tuple[object, str]] = {}
        self.flags: dict[str, tuple[object, str]] = {}
        self.tables: dict[str, tuple[dict[str, Any], Path]] = {}
        self.stack: dict[str, str] = {}

    def put(self, name: str, value: object, origin: str) -> None:
        self.values[name] = parse(name, value, origin)
        self.origins[name] = origin

    def read(self, path: Path) -> None:
        document = _read_toml(path)
        stack, tables = document.pop("stack", {}), document.pop("targets", {})
        for name, table in (("stack", stack), ("targets", tables)):
            if not isinstance(table, dict):
                raise UsageError(f"{path}: {name} must be a table, [{name}]")
        self.stack |= stack_variables.from_table(stack, str(path))
        for name, table in targets.check_tables(tables, str(path)).items():
            self.tables[name] = (table, path)
        for name, value in document.items():
            self.put(name, _resolved(name, value, path), str(path))

    def settings(self) -> Settings:
        for layer in (self.environment, self.flags):
            for name in ("target", "project"):
                if name in layer:
                    self.put(name, *layer[name])
        project = str(self.values.get("project", targets.DEFAULT_PROJECT))
        if "target" not in self.values and (current := targets.current(project)):
            self.put("target", current, targets.current_file())
        target = self._target()
        self._put_target_settings(target)
        for layer in (self.environment, self.flags):
            for name, (value, origin) in layer.items():
                if name != "milvus_uri" or target == targets.REMOTE:
                    self.put(name, value, origin)
        return Settings(
            **{attribute(name): value for name, value in self.values.items()},
            origins=self.origins,
            targets=tuple(sorted(self.tables)),
            stack=self.stack,
        )

    def _target(self) -> str:
        """The target's name: the one that is set, else "remote" where there is a `milvus_uri`
        outside of a table, else the current one."""
        is_set = self.origins.get("target", targets.current_file()) != targets.current_file()
        has_uri = self.values.get("milvus_uri") or "milvus_uri" in self.environment
        if not is_set and has_uri:
            origin = self.origins.get("milvus_uri") or self.environment["milvus_uri"][1]
            self.put("target", targets.REMOTE, origin)
        name = str(self.values.get("target", targets.EMBEDDED))
        targets.check(name, self.tables, self.origins.get("target", "default"))
        if name == targets.REMOTE and not has_uri:
            raise UsageError(
                "the target 'remote' is the Milvus at `milvus_uri`, and there is none",
                hint="Set CLIPSTACK_MILVUS_URI, or name a target in clipstack.toml.",
            )
        return name

    def _put_target_settings(self, name: str) -> None:
        """Put the target's own settings. Only its own table sets its address: a left-over variable
        must not send a command to another Milvus."""
        if name == targets.REMOTE:
            return
        if self.values.pop("milvus_uri", None):
            del self.origins["milvus_uri"]
        if name == targets.STACK:
            project = self.values.get("project", Settings().project)
            for setting, value in targets.stack_settings(project, self.stack).items():
                self.put(setting, value, f"stack {project}")
        elif name in self.tables:
            table, path = self.tables[name]
            origin = f"{path} [targets.{name}]"
            for setting, value in table.items():
                self.put(setting, _resolved(setting, value, path), origin)
            if not self.values.get("milvus_uri"):
                raise UsageError(
                    f"{origin} has no milvus_uri",
                    hint='Add milvus_uri = "https://host:19530".',
                )


def _resolved(name: str, value: object, path: Path) -> object:
    """The value of setting `name` in the settings file `path`; a file is relative to that one."""
    if name in _FILES and isinstance(value, str) and value:
        return str(path.parent / Path(value).expanduser())
    return value


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from None


def _default_files() -> list[Path]:
    files = [user_file()] if user_file().is_file() else []
    project = project_file()
    return [*files, project] if project else files
