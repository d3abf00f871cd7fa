"""Errors of SQLite and of the disk, translated for the user."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
from pathlib import Path

from clipstack.errors import ClipstackError, UnreachableError

_DISK_FULL_ERRNOS = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_MIN_FREE_BYTES = 1 << 18
_PERMISSION_ERRNOS = {errno.EACCES, errno.EPERM, errno.EROFS}

_FOLDER_CODES = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_DISK_CODES = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}  # such as no room for the WAL index


class DamagedError(ClipstackError):
    """A file of the index does not hold what was written to it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(
            message,
            hint=hint
            or "`clipstack doctor` says what is whole. If it can't be read at all, move it away "
            "and import again, or restore a copy.",
        )


def translate_sqlite_error(path: Path, error: sqlite3.Error, wait: float) -> ClipstackError:
    """The ClipstackError for an error of SQLite.

    Args:
        path: of the database.
        wait: seconds that SQLite waited for other processes.
    """
    text = str(error)
    code = primary_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnreachableError(
            f"{path}: another process is writing to it, waited {wait:g} s",
            hint="Let it finish, or wait longer with --wait SECONDS.",
        )
    if code == sqlite3.SQLITE_READONLY:
        return read_only_error(path)
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedError(f"{path}: damaged ({text})")
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedError(
            f"{path}: not a database of clipstack's, or damaged at its beginning",
            hint="Name another file with CLIPSTACK_DATABASE. If it was one, move it away and "
            "import again, or restore a copy.",
        )
    if code == sqlite3.SQLITE_FULL:
        return disk_full_error(path)
    if code == sqlite3.SQLITE_IOERR:
        return disk_full_error(path) if _is_disk_full(path.parent) else _io_error(path, text)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ClipstackError(
            f"{path}: can't be opened ({text})",
            hint="Check that the file and its folder can be read, or choose another with "
            "CLIPSTACK_DATABASE.",
        )
    return ClipstackError(f"{path}: SQLite: {text}")


def translate_os_error(path: Path, error: OSError) -> ClipstackError:
    """The ClipstackError for an error of the operating system.

    Args:
        path: of the database, if the error names no file.
    """
    file = Path(error.filename) if isinstance(error.filename, str) else path
    if error.errno in _DISK_FULL_ERRNOS:
        return disk_full_error(file)
    if error.errno in _PERMISSION_ERRNOS:
        return permission_error(file, error)
    return _io_error(file, error.strerror or str(error))


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error, 0 if it has none.

    Source: https://www.sqlite.org/rescode.html, "Primary Result Codes".
    """
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_environment_error(error: sqlite3.Error) -> bool:
    """Whether a file can't be opened because of its folder or disk, not because of its content."""
    return primary_code(error) in _FOLDER_CODES | _DISK_CODES


def is_disk_error(error: sqlite3.Error) -> bool:
    """Whether a file can't be opened because the disk is full or fails."""
    return primary_code(error) in _DISK_CODES


def read_only_error(path: Path) -> ClipstackError:
    """The error for a database that can only be read."""
    return ClipstackError(
        f"{path}: can only be read here",
        hint="Allow writing to the file and its folder, or use another with CLIPSTACK_DATABASE.",
    )


def permission_error(path: Path, error: OSError) -> ClipstackError:
    """The error for a file that the user has no permission for."""
    return ClipstackError(
        f"{path}: {error.strerror}",
        hint="Allow reading and writing to the file and its folder, or use another database with "
        "CLIPSTACK_DATABASE.",
    )


def disk_full_error(path: Path) -> ClipstackError:
    """The error for a full disk."""
    return ClipstackError(
        f"{path}: can't be written: the disk is full",
        hint="What was written before stays. Make room, then run the same command again.",
    )


def _is_disk_full(folder: Path) -> bool:
    """Whether there is no room for the smallest file that SQLite writes beside a database."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _MIN_FREE_BYTES
    return False


def _io_error(path: Path, text: str) -> ClipstackError:
    return ClipstackError(
        f"{path}: {text}",
        hint="What was written before stays. If it happens again, check the disk.",
    )
