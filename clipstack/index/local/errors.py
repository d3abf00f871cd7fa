"""Errors of SQLite and of the disk in, what a user can do about them out."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
from pathlib import Path

from clipstack.errors import ClipstackError, UnreachableError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LEAST_ROOM = 1 << 18
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class DamagedError(ClipstackError):
    """A file of the index is not as it was written."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(
            message,
            hint=hint
            or "`clipstack doctor` says what is whole. If it can't be read at all, move it away "
            "and import again, or restore a copy.",
        )


def explained(path: Path, error: sqlite3.Error, wait: float) -> ClipstackError:
    """What an error of SQLite means.

    Args:
        path: of the database.
        wait: seconds it waited for other processes.
    """
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnreachableError(
            f"{path}: another process is writing to it, waited {wait:g} s",
            hint="Let it finish, or wait longer with --wait SECONDS.",
        )
    if code == sqlite3.SQLITE_READONLY:
        return unwritable(path)
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedError(f"{path}: damaged ({text})")
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedError(
            f"{path}: not a database of clipstack's, or damaged at its beginning",
            hint="Name another file with CLIPSTACK_DATABASE. If it was one, move it away and "
            "import again, or restore a copy.",
        )
    if code == sqlite3.SQLITE_FULL:
        return full(path)
    if code == sqlite3.SQLITE_IOERR:
        return full(path) if _is_full(path.parent) else _failed(path, text)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ClipstackError(
            f"{path}: can't be opened ({text})",
            hint="Check that the file and its folder can be read, or choose another with "
            "CLIPSTACK_DATABASE.",
        )
    return ClipstackError(f"{path}: SQLite: {text}")


def explained_os(path: Path, error: OSError) -> ClipstackError:
    """What an error of the system means, on a file of the database at `path`."""
    where = Path(error.filename) if isinstance(error.filename, str) else path
    if error.errno in _FULL:
        return full(where)
    if error.errno in _FORBIDDEN:
        return unusable(where, error)
    return _failed(where, error.strerror or str(error))


def unwritable(path: Path) -> ClipstackError:
    """The error for a database that can only be read."""
    return ClipstackError(
        f"{path}: can only be read here",
        hint="Allow writing to the file and its folder, or use another with CLIPSTACK_DATABASE.",
    )


def unusable(path: Path, error: OSError) -> ClipstackError:
    """The error for a file that the user may not use."""
    return ClipstackError(
        f"{path}: {error.strerror}",
        hint="Allow reading and writing to the file and its folder, or use another database with "
        "CLIPSTACK_DATABASE.",
    )


def full(path: Path) -> ClipstackError:
    """The error for a disk without room."""
    return ClipstackError(
        f"{path}: can't be written: the disk is full",
        hint="What was written before stays. Make room, then run the same command again.",
    )


def _is_full(folder: Path) -> bool:
    """Whether there is no room for what SQLite writes beside a database at the least."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _LEAST_ROOM
    return False


def _failed(path: Path, text: str) -> ClipstackError:
    return ClipstackError(
        f"{path}: {text}",
        hint="What was written before stays. If it happens again, check the disk.",
    )
