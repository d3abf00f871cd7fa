"""The wheel and the sdist hold what they are meant to hold, and git has no leftovers."""

from __future__ import annotations

import fnmatch
import subprocess
import tarfile
from pathlib import Path

import pytest

from clipstack import __version__
from tests.packaging.repository import ROOT, build, copy_to, files, names_in

HOME = "clipstack/stack/home/"
INFO = f"clipstack_search-{__version__}.dist-info/"
DATA = ("clipstack/page/assets/", "clipstack/encoders/models/shapes/")
OF_HOME = {"service.py", "bentofile.yaml"}
# Leftovers of editors, merges, patch, builds and Python.
LEFTOVERS = (
    *("*.orig", "*.rej", "*.swp", "*.swo", "*~", "*.bak", "*.whl", "*.tar.gz", "*.pyc"),
    *("*.egg-info/*", "__pycache__/*", "*/__pycache__/*", ".DS_Store", "*/.DS_Store"),
)
STRAY = (
    *("clipstack/cli/app.py.orig", "clipstack/cli/.app.py.swp", "clipstack/notes.txt"),
    *("clipstack/__pycache__/errors.cpython-311.pyc", "clipstack/clipstack-0.1.0.whl"),
    *("clipstack/page/assets/index.html~", "compose/compose.yaml.orig", "notes.py"),
    *("clipstack.egg-info/PKG-INFO", "clipstack/encoders/models/shapes/config.json.rej"),
)


def in_package(name: str) -> bool:
    """Whether a file is part of the import package."""
    is_code = name.startswith("clipstack/") and name.endswith(".py")
    return is_code or name == "clipstack/py.typed" or name.startswith(DATA)


def in_home(name: str) -> bool:
    """Whether a file is one of those that `clipstack build` and `clipstack up` need."""
    return name in OF_HOME or (name.startswith("compose/") and name.endswith(".yaml"))


PACKAGE = {name for name in files() if in_package(name)}
RESOURCES = {name for name in files() if in_home(name)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with stray files in it."""
    folder = copy_to(tmp_path_factory.mktemp("source"))
    for name in STRAY:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("stray")
    return folder


def test_wheel(source: Path, tmp_path: Path) -> None:
    metadata = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    expected = PACKAGE | {HOME + name for name in RESOURCES} | {INFO + name for name in metadata}
    assert names_in(build(source, tmp_path, "wheel")) == expected


def test_sdist(source: Path, tmp_path: Path) -> None:
    beside = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt"}
    with tarfile.open(build(source, tmp_path, "sdist")) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert names == PACKAGE | RESOURCES | beside | {".gitignore", "PKG-INFO"}


def test_the_wheel_of_the_sdist_is_the_same(source: Path, tmp_path: Path) -> None:
    with tarfile.open(build(source, tmp_path, "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"clipstack_search-{__version__}"
    wheels = [build(folder, tmp_path / folder.name, "wheel") for folder in (source, unpacked)]
    assert names_in(wheels[0]) == names_in(wheels[1])


def test_the_package_has_no_other_files() -> None:
    assert {name for name in files() if name.startswith("clipstack/")} == PACKAGE
    assert len(RESOURCES) >= 4


def test_git_has_no_leftovers() -> None:
    found = [name for name in files() for pattern in LEFTOVERS if fnmatch.fnmatch(name, pattern)]
    assert found == []


@pytest.mark.parametrize("name", [name for name in STRAY if "notes" not in name])
def test_git_ignores_leftovers(name: str) -> None:
    command = ["git", "-C", str(ROOT), "check-ignore", "--no-index", "--quiet", name]
    assert subprocess.run(command, check=False).returncode == 0
