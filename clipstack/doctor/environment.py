"""Checks of settings files, variables and installed packages."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clipstack import __version__
from clipstack import settings as layers
from clipstack.errors import ClipstackError
from clipstack.settings import stack_variables
from clipstack.stack.check import Check, Level

PACKAGES = (
    *("pymilvus", "torch", "transformers", "bentoml", "docker"),
    *("httpx", "numpy", "pillow", "grpcio", "protobuf"),
)
_OTHERS = {
    *("DATA_DIR", "CONFIG_DIR", "CACHE_DIR", "SHARED", "CONFIG", "JSON", "QUIET", "VERBOSE"),
    *("NO_COLOR", "YES", "NO_INPUT", "DEBUG"),
}


def settings_checks(problem: ClipstackError | None, commands: Sequence[str]) -> list[Check]:
    """Check each settings file, all layers together, and the names of variables.

    Args:
        problem: why the layers together can't be read.
        commands: names of clipstack's commands, as their options have variables too.
    """
    files = (layers.user_file(), layers.project_file())
    checks = [_file(path) for path in files if path and path.is_file()]
    if problem and all(check.message != problem.message for check in checks):
        checks.append(Check("settings", Level.FAIL, problem.message, problem.hint))
    checks += [_unknown(name) for name in sorted(_unknown_variables(commands))]
    return checks or [Check("settings", Level.OK, "no settings files: all defaults")]


def _file(path: Path) -> Check:
    try:
        layers.load(config=path)
    except ClipstackError as error:
        # The same message as the error of all layers together, so that it is shown once.
        return Check(path.name, Level.FAIL, error.message, error.hint or f"Edit {path}.")
    return Check(path.name, Level.OK, f"{path} can be read")


def _unknown_variables(commands: Sequence[str]) -> set[str]:
    known = {f"CLIPSTACK_{name.upper()}" for name in layers.NAMES} | set(stack_variables.defaults())
    known |= {f"CLIPSTACK_{name}" for name in _OTHERS}
    prefixes = ["CLIPSTACK_SERVICE_", "CLIPSTACK_S3_"]
    prefixes += [f"CLIPSTACK_{name.upper().replace('-', '_')}_" for name in commands]
    ours = {name for name in os.environ if name.startswith("CLIPSTACK_")}
    return {name for name in ours - known if not name.startswith(tuple(prefixes))}


def _unknown(name: str) -> Check:
    names = [f"CLIPSTACK_{name.upper()}" for name in layers.NAMES]
    close = difflib.get_close_matches(name, [*names, *stack_variables.defaults()], n=1)
    fix = f"Did you mean {close[0]}?" if close else f"`unset {name}`"
    return Check(name, Level.WARN, f"the variable {name} means nothing to clipstack", fix)


def versions() -> dict[str, str]:
    """The versions of clipstack, Python and the packages, "" for one that is not installed."""
    by_name = {"clipstack": __version__, "python": platform.python_version()}
    by_name["platform"] = platform.platform()
    for package in PACKAGES:
        try:
            by_name[package] = version(package)
        except PackageNotFoundError:
            by_name[package] = ""
    return by_name


def version_checks() -> list[Check]:
    """Check that every package is installed."""
    return [
        Check(name, Level.OK, text)
        if text
        else Check(name, Level.WARN, "not installed", "Install clipstack again.")
        for name, text in versions().items()
    ]
