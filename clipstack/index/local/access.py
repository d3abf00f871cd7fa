"""How a database is opened: shared with writers, or as it lies where nothing can be written."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from clipstack.errors import ClipstackError

_BESIDE = ("", "-wal", "-shm", "-journal")
_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"
_ABOUT_THE_FOLDER = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_ABOUT_THE_DISK = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
"""Such as no room for the index of the WAL."""

Signature = tuple[tuple[int, int, int] | None, ...]


class Access(NamedTuple):
    """How SQLite opens a file.

    Attributes:
        query: of SQLite's URI.
        alone: SQLite keeps the index of the WAL in its own memory, not in a file that is shared.
    """

    query: str
    alone: bool = False


def shared(create: bool) -> Access:
    """Access beside other processes that read and write."""
    return Access("mode=rwc" if create else "mode=rw")


def as_it_lies(path: Path) -> Access:
    """Access to a file in whose folder nothing can be written, not even what readers share.

    Raises:
        ClipstackError: the process that wrote to it last was ended within a change that has to be
            taken back first.
    """
    if size(path, "-journal"):
        raise ClipstackError(
            f"{path}: a process was ended while it wrote to it, and nothing can be written here to "
            "take that back",
            hint="Open it once where its folder can be written to, or copy its folder there.",
        )
    if size(path, "-wal"):
        return Access(f"mode=ro&vfs={_NO_LOCKS}", alone=True)
    return Access("immutable=1")


def is_about_the_place(error: sqlite3.Error) -> bool:
    """Whether a file can't be opened because of its folder or disk, and not of what is in it."""
    return _code(error) in _ABOUT_THE_FOLDER | _ABOUT_THE_DISK


def is_about_the_disk(error: sqlite3.Error) -> bool:
    """Whether a file can't be opened as its disk is full, or fails."""
    return _code(error) in _ABOUT_THE_DISK


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def signature(path: Path) -> Signature:
    """What changes when another process writes to the file, or begins to."""
    return tuple(_stat(path, suffix) for suffix in _BESIDE)


def is_there(path: Path) -> bool:
    """Whether there is a file, as far as can be seen."""
    return _stat(path, "") is not None


def is_used(path: Path) -> bool:
    """Whether processes share the index of the WAL now, or were killed while they did."""
    return _stat(path, "-shm") is not None


def size(path: Path, suffix: str) -> int:
    """Bytes of the file whose name has `suffix` behind it; 0 where there is none."""
    stat = _stat(path, suffix)
    return stat[1] if stat else 0


def _stat(path: Path, suffix: str) -> tuple[int, int, int] | None:
    try:
        stat = path.with_name(path.name + suffix).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
