"""The files of the repository, and a copy of them to build from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def files() -> frozenset[str]:
    """Paths of the files that git tracks, or would add, relative to the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return frozenset(name for name in listing.split("\0") if name and (ROOT / name).is_file())


def copy_to(folder: Path) -> Path:
    """Copy the repository's files to `folder`; returns it."""
    for name in files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return folder


def build(source: Path, target: Path, kind: str) -> Path:
    """Build the `kind`, "wheel" or "sdist", of `source` into `target`; returns the file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=source, capture_output=True, check=True)
    (file,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


def names_in(wheel: Path) -> set[str]:
    """The paths of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}
