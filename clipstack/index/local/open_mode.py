"""The modes in which SQLite opens a database file: shared with other processes, or read-only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from clipstack.errors import ClipstackError

_FILE_SUFFIXES = ("", "-wal", "-shm", "-journal")
_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"

FileStats = tuple[tuple[int, int, int] | None, ...]


class OpenMode(NamedTuple):
    """How SQLite opens a file.

    Attributes:
        query: query string of SQLite's URI.
        exclusive: whether SQLite keeps the WAL index in its own memory instead of a shared file.
    """

    query: str
    exclusive: bool = False


def read_write(create: bool) -> OpenMode:
    """The mode for sharing the file with other processes that read and write."""
    return OpenMode("mode=rwc" if create else "mode=rw")


def read_only(path: Path) -> OpenMode:
    """The mode for a file in whose folder nothing can be written, not even the files that readers
    share.

    Raises:
        ClipstackError: the last writer was killed during a transaction, which has to be rolled
            back first.
    """
    if file_size(path, "-journal"):
        raise ClipstackError(
            f"{path}: a process was ended while it wrote to it, and nothing can be written here to "
            "take that back",
            hint="Open it once where its folder can be written to, or copy its folder there.",
        )
    if file_size(path, "-wal"):
        return OpenMode(f"mode=ro&vfs={_NO_LOCKS}", exclusive=True)
    return OpenMode("immutable=1")


def file_stats(path: Path) -> FileStats:
    """Inodes, sizes and times of the database's files, which change when a process writes."""
    return tuple(_stat(path, suffix) for suffix in _FILE_SUFFIXES)


def exists(path: Path) -> bool:
    """Whether the file exists and its folder can be read."""
    return _stat(path, "") is not None


def has_shared_memory(path: Path) -> bool:
    """Whether processes share the WAL index now, or were killed while they did."""
    return _stat(path, "-shm") is not None


def file_size(path: Path, suffix: str) -> int:
    """Size in bytes of the file named `path` plus `suffix`; 0 if there is none."""
    stat = _stat(path, suffix)
    return stat[1] if stat else 0


def _stat(path: Path, suffix: str) -> tuple[int, int, int] | None:
    try:
        stat = path.with_name(path.name + suffix).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
