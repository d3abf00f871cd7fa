"""What the code imports is declared, and the versions fit what is used of them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.packaging.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)")
PRIVATE = ("bentoml", "openvino", "pillow", "pymilvus", "textual-image")


def normalised(name: str) -> str:
    """A distribution's name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> dict[str, str]:
    """The version ranges of what clipstack needs to run, extras included, by distribution."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["optimize"], *extras["parquet"]]
    matches = [_REQUIREMENT.match(line) for line in lines]
    return {normalised(match[1]): match[2] for match in matches if match}


def imports(path: Path) -> Iterator[str]:
    """The top-level names of the modules that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


FILES = sorted([*(ROOT / "clipstack").rglob("*.py"), ROOT / "service.py"])
IMPORTED = {name for path in FILES for name in imports(path)} - sys.stdlib_module_names


@pytest.mark.parametrize("module", sorted(IMPORTED - {"clipstack"}))
def test_what_is_imported_is_declared(module: str) -> None:
    providers = {normalised(name) for name in packages_distributions().get(module, [])}
    assert providers & set(requirements()), f"{module} comes from {providers or 'nowhere'}"


def test_what_is_declared_is_imported() -> None:
    providers = packages_distributions()
    used = {normalised(name) for module in IMPORTED for name in providers.get(module, [])}
    assert set(requirements()) <= used


@pytest.mark.parametrize("name", PRIVATE)
def test_what_has_private_attributes_in_use_has_an_upper_bound(name: str) -> None:
    assert "<" in requirements()[name]


def test_private_names_in_use_are_listed() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    used = {name for path in FILES for name in private_names(path)}
    assert {name for name in used if name not in page} == set()


def private_names(path: Path) -> Iterator[str]:
    """Private attributes and modules of others that a file uses."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr not in {"_replace", "_asdict"}:
            is_own = ast.unparse(node.value) in {"self", "cls", "super()"}
            if re.match("_[a-z]", node.attr) and not is_own:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (name for name in names if re.match("_[a-z]", name))


def test_the_versions_that_are_tested_are_allowed() -> None:
    from packaging.specifiers import SpecifierSet

    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for name, version in pins.items():
        allowed = requirements().get(normalised(name), "")
        assert version in SpecifierSet(allowed), f"{name} {version}"


def test_the_bento_has_what_the_service_imports() -> None:
    import yaml

    included = yaml.safe_load((ROOT / "bentofile.yaml").read_text("utf-8"))["include"]
    pending, seen = [ROOT / "service.py"], set()
    while pending:
        path = pending.pop()
        seen.add(path)
        pending += [module for module in _ours(path) if module not in seen]
    names = [str(path.relative_to(ROOT)) for path in seen]
    missing = [name for name in names if not name.startswith(tuple(included))]
    assert not missing


def _ours(path: Path) -> Iterator[Path]:
    """The files of clipstack's modules that a file imports, packages' own files included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = ROOT.joinpath(*name.split("."))
            for file in (place / "__init__.py", place.with_suffix(".py")):
                if name.startswith("clipstack") and file.is_file():
                    yield file
