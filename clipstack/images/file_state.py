"""Whether a file is still what it was when it was imported."""

from __future__ import annotations

import hashlib
import os
import stat
from enum import StrEnum


class FileState(StrEnum):
    """What has become of an imported file."""

    SAME = "as imported"
    CHANGED = "changed since"
    VANISHED = "vanished since"
    UNREADABLE = "can't be read"


def file_state(path: str, *, size: int, mtime_ns: int, digest: str) -> FileState:
    """The state of an imported file; it is read only where its time alone has changed.

    Args:
        size: bytes; mtime_ns: nanoseconds since the epoch.
        digest: BLAKE2b-128 of its bytes, hexadecimal.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 (a lone surrogate is fine)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return FileState.CHANGED
        if status.st_mtime_ns == mtime_ns or _digest(path) == digest:
            return FileState.SAME
    except (FileNotFoundError, NotADirectoryError):
        return FileState.VANISHED
    except (OSError, ValueError):
        return FileState.UNREADABLE
    return FileState.CHANGED


def _digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
