"""Folders of this user for data, settings and caches."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_FILE = "clipstack.toml"


def data_dir() -> Path:
    """The folder for data that must not be lost: the embedded database, credentials of stacks."""
    return _user_dir("data")


def config_dir() -> Path:
    """The folder of the user's settings file."""
    return _user_dir("config")


def cache_dir() -> Path:
    """The folder for files that can be made again."""
    return _user_dir("cache")


def user_file() -> Path:
    """The path of the user's settings file, which need not exist."""
    return config_dir() / "config.toml"


def project_file(start: Path | None = None) -> Path | None:
    """The nearest `clipstack.toml` in `start` (by default this folder) or above it, or None."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        candidate = folder / PROJECT_FILE
        if candidate.is_file():
            return candidate
    return None


def _user_dir(kind: str) -> Path:
    override = os.environ.get(f"CLIPSTACK_{kind.upper()}_DIR")
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    folder: Path = getattr(platformdirs, f"user_{kind}_path")("clipstack", appauthor=False)
    return folder
