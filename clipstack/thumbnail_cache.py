"""A picture's path in, a small WebP of it out: made once and kept in a folder of limited size."""

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
class Expected:
    """What a file must still be, as the collection's row has it: bytes, and nanoseconds."""

    size: int
    mtime_ns: int


class Thumbnails:
    """Thumbnails of pictures on this machine.

    Several threads and processes may use one folder. It is kept in parts, each with its share of
    the limit; after a write, what was used least lately in that part goes.

    Args:
        folder: made when something is written; the user's cache folder by default. What can't be
            written is made anew each time.
        max_bytes: the most that is kept.
        limits: of the pictures that are read.
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

    def get(
        self, path: str, edge: int = 256, *, expected: Expected | None = None, follow: bool = True
    ) -> bytes:
        """A WebP of the picture at `path`, upright, at most `edge` x `edge` pixels.

        Args:
            path: absolute.
            expected: refuse the file when it is not this any more.
            follow: False refuses a symbolic link (of the name itself, not of folders above it).

        Raises:
            ImageError: CHANGED where `expected` or `follow` refuse it; VANISHED, TOO_LARGE and
                the other reasons why a picture can't be read.
        """
        facts = _look(path, follow)
        _check(path, facts, expected)
        key = _key(path, facts, edge)
        part = int(key[:8], 16) % _PARTS
        file = self.folder / f"{part:02x}" / f"{key}.webp"
        kept = _kept(file)
        if kept is not None:
            return kept
        with self._locks[part]:  # a picture asked for twice at once is made once
            kept = _kept(file)
            if kept is None:
                kept = self._make(path, edge, Expected(facts.st_size, facts.st_mtime_ns), follow)
                self._keep(file, kept)
        return kept

    def pixels(
        self, path: str, edge: int = 256, *, expected: Expected | None = None, follow: bool = True
    ) -> Pixels:
        """The same as uint8 RGB [height, width, 3]."""
        from clipstack.images import thumbnail

        return thumbnail.pixels(self.get(path, edge, expected=expected, follow=follow))

    def _make(self, path: str, edge: int, expected: Expected, follow: bool) -> bytes:
        from clipstack.images import thumbnail
        from clipstack.images.decode import DEFAULT_LIMITS, read_file

        limits = self._limits or DEFAULT_LIMITS
        data = read_file(
            path,
            limits,
            check=lambda facts: _check(path, facts, expected),
            flags=0 if follow else os.O_NOFOLLOW,
        )
        return thumbnail.make(data, edge, limits, path=path)

    def _keep(self, file: Path, data: bytes) -> None:
        if len(data) > self._share:
            return
        with contextlib.suppress(OSError):
            if not file.parent.is_dir():
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                file.parent.mkdir(exist_ok=True, mode=0o700)
            atomic_file.replace(file, data, mode=0o600)
            _trim(file.parent, self._share)


def of_user(settings: Settings) -> Thumbnails:
    """The user's thumbnails, of pictures within the limits of these settings."""
    from clipstack.images.decode import Limits

    return Thumbnails(limits=Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels))


def _look(path: str, follow: bool) -> os.stat_result:
    from clipstack.images.decode import reading

    with reading(path):
        facts = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 (a lone surrogate is fine)
    if stat.S_ISLNK(facts.st_mode):
        raise ImageError(path, Reason.CHANGED, "it is a link now")
    return facts


def _check(path: str, facts: os.stat_result, expected: Expected | None) -> None:
    if expected and (facts.st_size, facts.st_mtime_ns) != (expected.size, expected.mtime_ns):
        raise ImageError(path, Reason.CHANGED, "it is another file than the one imported")


def _key(path: str, facts: os.stat_result, edge: int) -> str:
    about = f"{facts.st_size} {facts.st_mtime_ns} {edge} ".encode()
    named = hashlib.blake2b(_VERSION + about + os.fsencode(path), digest_size=16)
    return named.hexdigest()


def _kept(file: Path) -> bytes | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(file)  # it was used now
    return data or None


def _trim(folder: Path, most: int) -> None:
    """Remove what was used least lately until `most` bytes are left."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat(follow_symlinks=False)
                found.append((facts.st_mtime_ns, facts.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        total -= size
