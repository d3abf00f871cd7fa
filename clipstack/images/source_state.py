"""What was kept of a file when it was imported in; whether it is still that out."""

from __future__ import annotations

import hashlib
import os
import stat
from enum import StrEnum


class SourceState(StrEnum):
    """What has become of an imported file."""

    SAME = "as imported"
    CHANGED = "changed since"
    VANISHED = "vanished since"
    UNREADABLE = "can't be read"


def compare(path: str, *, size: int, mtime_ns: int, digest: str) -> SourceState:
    """What has become of the file at `path`; read only where its time alone has changed.

    Args:
        size: bytes; mtime_ns: nanoseconds since the epoch.
        digest: BLAKE2b-128 of its bytes, hexadecimal.
    """
    try:
        facts = os.stat(path)  # noqa: PTH116 (a lone surrogate is fine)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
            return SourceState.CHANGED
        if facts.st_mtime_ns == mtime_ns or _digest(path) == digest:
            return SourceState.SAME
    except (FileNotFoundError, NotADirectoryError):
        return SourceState.VANISHED
    except (OSError, ValueError):
        return SourceState.UNREADABLE
    return SourceState.CHANGED


def _digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
