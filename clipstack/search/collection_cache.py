"""The CollectionInfo of the last search, cached for targets that take long to open.

It only saves time: its users compare it with the real one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings, atomic_file, cache_dir


def read(settings: Settings) -> CollectionInfo | None:
    """The cached CollectionInfo of `settings.collection`, or None."""
    try:
        cached = json.loads(_file(settings).read_text("utf-8"))
        return CollectionInfo.from_description(cached["name"], cached["description"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(settings: Settings, info: CollectionInfo) -> None:
    """Cache `info`."""
    if read(settings) == info:
        return
    file = _file(settings)
    cached = {"name": info.name, "description": info.to_description()}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, json.dumps(cached))


def forget(settings: Settings) -> None:
    """Remove `settings.collection` from the cache."""
    with contextlib.suppress(OSError):
        _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    target = settings.milvus_uri or str(settings.database.expanduser().absolute())
    key = f"{target} {settings.milvus_database} {settings.collection}"
    digest = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    return cache_dir() / "collections" / f"{digest}.json"
