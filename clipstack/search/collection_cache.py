"""What a target's collection was the last time it was searched, where opening it takes long.

Only a guess that saves time: whoever uses it compares it with what the collection says of itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings, atomic_file, cache_dir


def read(settings: Settings) -> CollectionInfo | None:
    """What `settings.collection` was, or None."""
    try:
        kept = json.loads(_file(settings).read_text("utf-8"))
        return CollectionInfo.from_description(kept["name"], kept["description"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(settings: Settings, info: CollectionInfo) -> None:
    """Keep what it is now."""
    if read(settings) == info:
        return
    file = _file(settings)
    kept = {"name": info.name, "description": info.to_description()}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, json.dumps(kept))


def forget(settings: Settings) -> None:
    """Keep nothing of it."""
    with contextlib.suppress(OSError):
        _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    where = settings.milvus_uri or str(settings.database.expanduser().absolute())
    key = f"{where} {settings.milvus_database} {settings.collection}"
    digest = hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    return cache_dir() / "collections" / f"{digest}.json"
