"""A cache of thumbnails in a folder of limited size."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ImageError, Reason
from clipstack.settings import Settings, atomic_file, cache_dir

if TYPE_CHECKING:
    from clipstack.images.decode import Limits
    from clipstack.images.resize import Pixels

MAX_BYTES = 256 << 20
MEDIA_TYPE = "image/webp"
_PARTS = 64
_VERSION = b"1"  # of what `images.thumbnail.make` makes


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """The size in bytes and the modification time that a file must have."""

    size: int
    mtime_ns: int


class ThumbnailCache:
    """Thumbnails of pictures on this machine.

    Several threads and processes may use one folder. It has parts, each with its share of the
    limit; after a write, the least recently used files of that part are removed.

    Args:
        folder: created with the first file; by default in the user's cache folder. Thumbnails that
            can't be written are made again each time.
        max_bytes: the limit of all files together.
        limits: for the pictures.
    """

    def __init__(
        self,
        folder: Path | None = None,
        max_bytes: int = MAX_BYTES,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.folder = folder or cache_dir() / "thumbnails"
        self._share = max_bytes // _PARTS
        self._limits = limits
        self._locks = [threading.Lock() for _ in range(_PARTS)]

    @classmethod
    def from_settings(cls, settings: Settings) -> ThumbnailCache:
        """The user's cache, for pictures within the limits of these settings."""
        from clipstack.images.decode import Limits

        return cls(limits=Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels))

    def get(
        self,
        path: str,
        edge: int = 256,
        *,
        expected: ExpectedFile | None = None,
        follow: bool = True,
    ) -> bytes:
        """A WebP of the picture at `path`, upright, at most `edge` x `edge` pixels.

        Args:
            path: absolute.
            expected: the state of the file when it was imported; None for any.
            follow: whether `path` may be a symbolic link; its folders may.

        Raises:
            ImageError: CHANGED where `expected` or `follow` does not fit the file; VANISHED,
                TOO_LARGE and the other reasons why a picture can't be read.
        """
        status = _stat(path, follow)
        _check(path, status, expected)
        key = _key(path, status, edge)
        part = int(key[:8], 16) % _PARTS
        file = self.folder / f"{part:02x}" / f"{key}.webp"
        data = _read(file)
        if data is not None:
            return data
        with self._locks[part]:  # concurrent requests for a picture make one thumbnail
            data = _read(file)
            if data is None:
                data = self._make(
                    path, edge, ExpectedFile(status.st_size, status.st_mtime_ns), follow
                )
                self._write(file, data)
        return data

    def pixels(
        self,
        path: str,
        edge: int = 256,
        *,
        expected: ExpectedFile | None = None,
        follow: bool = True,
    ) -> Pixels:
        """The same as `get`, as uint8 RGB [height, width, 3]."""
        from clipstack.images import thumbnail

        return thumbnail.pixels(self.get(path, edge, expected=expected, follow=follow))

    def _make(self, path: str, edge: int, expected: ExpectedFile, follow: bool) -> bytes:
        from clipstack.images import thumbnail
        from clipstack.images.decode import DEFAULT_LIMITS, read_file

        limits = self._limits or DEFAULT_LIMITS
        data = read_file(
            path,
            limits,
            check=lambda status: _check(path, status, expected),
            flags=0 if follow else os.O_NOFOLLOW,
        )
        return thumbnail.make(data, edge, limits, path=path)

    def _write(self, file: Path, data: bytes) -> None:
        if len(data) > self._share:
            return
        with contextlib.suppress(OSError):
            if not file.parent.is_dir():
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                file.parent.mkdir(exist_ok=True, mode=0o700)
            atomic_file.replace(file, data, mode=0o600)
            _trim(file.parent, self._share)


def _stat(path: str, follow: bool) -> os.stat_result:
    from clipstack.images.decode import file_errors

    with file_errors(path):
        status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 (a lone surrogate is fine)
    if stat.S_ISLNK(status.st_mode):
        raise ImageError(path, Reason.CHANGED, "it is a link now")
    return status


def _check(path: str, status: os.stat_result, expected: ExpectedFile | None) -> None:
    if expected and (status.st_size, status.st_mtime_ns) != (expected.size, expected.mtime_ns):
        raise ImageError(path, Reason.CHANGED, "it is another file than the one imported")


def _key(path: str, status: os.stat_result, edge: int) -> str:
    properties = f"{status.st_size} {status.st_mtime_ns} {edge} ".encode()
    return hashlib.blake2b(_VERSION + properties + os.fsencode(path), digest_size=16).hexdigest()


def _read(file: Path) -> bytes | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(file)  # marks it as used
    return data or None


def _trim(folder: Path, max_bytes: int) -> None:
    """Remove the least recently used files until at most `max_bytes` are left."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                files.append((status.st_mtime_ns, status.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= max_bytes:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        total -= size
