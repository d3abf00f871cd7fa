"""What is wrong with this machine, its model and its embedded database."""

from __future__ import annotations

import shutil
from pathlib import Path

from clipstack.errors import ClipstackError
from clipstack.index.local.integrity import check
from clipstack.settings import Settings, cache_dir, data_dir
from clipstack.settings.targets import EMBEDDED
from clipstack.stack.check import Check, Level
from clipstack.units import format_bytes

_GB = 1e9
_DISK_WARN, _DISK_FAIL = 2 * _GB, 0.2 * _GB
_MEMORY_WARN = 1.5 * _GB
_DATABASE_SECONDS = 3.0


def machine_checks() -> list[Check]:
    """Memory of this machine, and room where data and caches lie."""
    import psutil

    free = psutil.virtual_memory().available
    said = f"{format_bytes(free)} of memory free"
    found = [
        Check("memory", Level.OK, said)
        if free >= _MEMORY_WARN
        else Check("memory", Level.WARN, said, "End other programs, or choose a smaller model.")
    ]
    seen: set[int] = set()
    for name, folder in (("data", data_dir()), ("cache", cache_dir())):
        there = _existing(folder)
        if there.stat().st_dev not in seen:
            seen.add(there.stat().st_dev)
            found.append(_disk(name, folder, there))
    return found


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _disk(name: str, folder: Path, there: Path) -> Check:
    free = shutil.disk_usage(there).free
    said = f"{format_bytes(free)} free at {folder}"
    if free >= _DISK_WARN:
        return Check(f"disk ({name})", Level.OK, said)
    level = Level.FAIL if free < _DISK_FAIL else Level.WARN
    fix = f"Make room there, or choose another place with CLIPSTACK_{name.upper()}_DIR."
    return Check(f"disk ({name})", level, said, fix)


def model_checks(settings: Settings) -> list[Check]:
    """The model of this machine, where it is this machine that encodes."""
    from clipstack.encoders.models.catalog import resolve

    if settings.encoder_url:
        return [Check("model", Level.OK, f"encoding is left to {settings.encoder_url}")]
    try:
        found = resolve(settings.model, download=False)
    except ClipstackError as error:
        return [Check("model", Level.WARN, error.message, error.hint)]
    size = sum(one.stat().st_size for one in found.path.rglob("*") if one.is_file())
    return [Check("model", Level.OK, f"{found.name}: {found.source}, {format_bytes(size)}")]


def database_checks(settings: Settings) -> list[Check]:
    """The embedded database: its size, its journal, and what is damaged or left over."""
    path = settings.database
    if _is_missing(path):
        if settings.target != EMBEDDED:
            return []
        return [Check("database", Level.OK, f"{path} is not made yet: nothing is imported")]
    found = check(path, seconds=_DATABASE_SECONDS)
    return [Check(one.subject, Level(one.level), one.text, one.fix) for one in found]


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except PermissionError:  # opening it says so
        return False
