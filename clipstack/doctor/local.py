"""Checks of this machine, its model and its embedded database."""

from __future__ import annotations

import shutil
from pathlib import Path

from clipstack.errors import ClipstackError
from clipstack.index.local.integrity import check_database
from clipstack.settings import Settings, cache_dir, data_dir
from clipstack.settings.targets import EMBEDDED
from clipstack.stack.check import Check, Level
from clipstack.units import format_bytes

_GB = 1e9
_DISK_WARN, _DISK_FAIL = 2 * _GB, 0.2 * _GB
_MEMORY_WARN = 1.5 * _GB
_DATABASE_SECONDS = 3.0


def machine_checks() -> list[Check]:
    """Check the memory of this machine, and the disks with data and caches."""
    import psutil

    free = psutil.virtual_memory().available
    message = f"{format_bytes(free)} of memory free"
    checks = [
        Check("memory", Level.OK, message)
        if free >= _MEMORY_WARN
        else Check("memory", Level.WARN, message, "End other programs, or choose a smaller model.")
    ]
    devices: set[int] = set()
    for name, folder in (("data", data_dir()), ("cache", cache_dir())):
        existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        device = existing.stat().st_dev
        if device not in devices:
            devices.add(device)
            checks.append(_disk(name, folder, shutil.disk_usage(existing).free))
    return checks


def _disk(name: str, folder: Path, free: int) -> Check:
    message = f"{format_bytes(free)} free at {folder}"
    if free >= _DISK_WARN:
        return Check(f"disk ({name})", Level.OK, message)
    level = Level.FAIL if free < _DISK_FAIL else Level.WARN
    fix = f"Make room there, or choose another place with CLIPSTACK_{name.upper()}_DIR."
    return Check(f"disk ({name})", level, message, fix)


def model_checks(settings: Settings) -> list[Check]:
    """Check the model of this machine, unless encoder services are set."""
    from clipstack.encoders.models.catalog import resolve

    if settings.encoder_urls:
        return [Check("model", Level.OK, f"encoding is left to {' '.join(settings.encoder_urls)}")]
    try:
        model = resolve(settings.model, download=False)
    except ClipstackError as error:
        return [Check("model", Level.WARN, error.message, error.hint)]
    size = sum(path.stat().st_size for path in model.path.rglob("*") if path.is_file())
    return [Check("model", Level.OK, f"{model.name}: {model.source}, {format_bytes(size)}")]


def database_checks(settings: Settings) -> list[Check]:
    """Check the embedded database: its size, its journal, damage and leftovers."""
    path = settings.database
    if _is_missing(path):
        if settings.target != EMBEDDED:
            return []
        return [Check("database", Level.OK, f"{path} is not made yet: nothing is imported")]
    return [
        Check(finding.subject, Level(finding.level), finding.text, finding.fix)
        for finding in check_database(path, seconds=_DATABASE_SECONDS)
    ]


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except PermissionError:  # the check of the database reports it
        return False
