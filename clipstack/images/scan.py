"""Folders, files, globs and lists of paths in; ImageFile records out, one at a time.

Memory is bounded by the names of one folder at each level of the tree, not by the number of
files. The order is that of the sources; within a folder its files come first and then its
subfolders, both sorted by name; folders behind symbolic links come last.
"""

# Paths are strings here: millions of them pass.
# ruff: noqa: PTH100, PTH112, PTH114, PTH116, PTH118, PTH206
from __future__ import annotations

import glob
import os
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from clipstack.errors import ImageError, NotFoundError, Reason, UsageError
from clipstack.images.formats import EXTENSIONS, extension
from clipstack.images.globs import SKIPPED_FOLDERS, expand, is_skipped, matches

STDIN = "-"

_REMEMBERED_PATHS = 100_000


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that looks like a picture.

    Attributes:
        path: absolute and normalised; symbolic links are kept.
        size: in bytes.
        mtime_ns: when its content last changed, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


__all__ = ["SKIPPED_FOLDERS", "STDIN", "ImageFile", "scan"]

OnError = Callable[[ImageError], None]


def scan(
    sources: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = True,
    extensions: Collection[str] = EXTENSIONS,
    stdin: BinaryIO | None = None,
    on_error: OnError | None = None,
) -> Iterator[ImageFile]:
    """Finds the pictures in folders, files, globs (`**` too) and a list on standard input.

    In folders, and among the files that a glob without a literal extension finds, only files
    with one of `extensions` are taken. A file that is named directly, in a list or by a glob
    such as `*.dat`, is taken whatever its extension. Hidden files, hidden folders and
    `SKIPPED_FOLDERS` are left out unless they are named. Symbolic links are followed, but no
    folder is entered twice because of them. A path that several sources name comes once; of a
    list on standard input the last 100,000 paths are remembered.

    Args:
        sources: paths and patterns; "-" stands for `stdin`. A path that exists is never a pattern.
        recursive: whether to enter the subfolders of folders.
        extensions: lower case, with the dot.
        stdin: a stream of paths that end in newlines or, if there is a NUL in its first part, in
            NULs.
        on_error: called with what can't be read; the scan goes on.

    Raises:
        NotFoundError: at once, for a source that does not exist or a glob that matches nothing.
        UsageError: at once, for "-" without `stdin`.
    """
    walker = _Walker(recursive, frozenset(extensions), on_error or (lambda _: None))
    return walker.run([_source(os.fspath(source), stdin) for source in sources], stdin)


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    kind: str


def _source(source: str, stdin: BinaryIO | None) -> _Source:
    if source == STDIN:
        if stdin is None:
            raise UsageError("there is no list of paths on standard input")
        return _Source(source, "list")
    path = os.path.abspath(source)
    if os.path.lexists(path):
        return _Source(path, "path")
    if glob.has_magic(source):
        if next(expand(path), None) is None:
            raise NotFoundError(f"nothing matches {source}")
        return _Source(path, "glob")
    raise NotFoundError(
        f"{source} does not exist", hint="Check the spelling, and that its disk is mounted."
    )


class _Walker:
    """One scan: its sources, and what it has found already."""

    def __init__(self, recursive: bool, extensions: frozenset[str], on_error: OnError) -> None:
        self.recursive = recursive
        self.extensions = extensions
        self.on_error = on_error
        self.folders: list[str] = []
        self.files: set[str] = set()
        self.globs: list[str] = []
        self.entered: set[tuple[int, int]] = set()
        self.links: deque[str] = deque()

    def run(self, sources: list[_Source], stdin: BinaryIO | None) -> Iterator[ImageFile]:
        tops = [s.path for s in sources if s.kind == "path" and os.path.isdir(s.path)]
        for path in sorted(set(tops), key=len):
            if not self._is_covered(path + os.sep):
                self.folders.append(path)
        waiting = set(self.folders)
        for source in sources:
            if source.kind == "list":
                assert stdin is not None
                yield from self._list(stdin)
            elif source.kind == "glob":
                yield from self._glob(source.path)
            elif source.path in waiting:
                waiting.discard(source.path)
                yield from self._folder(source.path)
            elif source.path not in tops:
                yield from self._named(source.path)
        yield from self._linked_folders()

    def _list(self, stream: BinaryIO) -> Iterator[ImageFile]:
        recent: dict[str, None] = {}
        for name in _names(stream):
            path = os.path.abspath(os.fsdecode(name))
            if path in recent or self._is_covered(path):
                continue
            recent[path] = None
            if len(recent) > _REMEMBERED_PATHS:
                del recent[next(iter(recent))]
            if os.path.isdir(path):
                yield from self._late_folder(path, recent)
            else:
                yield from self._file(path)

    def _glob(self, pattern: str) -> Iterator[ImageFile]:
        literal = not glob.has_magic(ending) if (ending := extension(pattern)) else False
        for path in expand(pattern):
            if os.path.isdir(path):
                yield from self._late_folder(path)
            elif literal or extension(path) in self.extensions:
                yield from self._named(path, remember=False)
        self.globs.append(pattern)

    def _late_folder(self, path: str, recent: Collection[str] = ()) -> Iterator[ImageFile]:
        """A folder found while scanning: some of its files may have been found before."""
        if self._is_covered(path + os.sep):
            return
        self.folders.append(path)
        for file in self._folder(path):
            if file.path in self.files or file.path in recent:
                continue
            if not any(self._in_glob(file.path, pattern) for pattern in self.globs):
                yield file

    def _named(self, path: str, *, remember: bool = True) -> Iterator[ImageFile]:
        if self._is_covered(path):
            return
        if remember:
            self.files.add(path)
        yield from self._file(path)

    def _is_covered(self, path: str) -> bool:
        """Whether another source covers this path; one that ends in a slash is a folder."""
        is_folder = path.endswith(os.sep)
        path = path.rstrip(os.sep) or os.sep
        if path in self.files or (is_folder and path in self.folders):
            return True
        if not is_folder and any(self._in_glob(path, pattern) for pattern in self.globs):
            return True
        for folder in self.folders:
            prefix = folder if folder.endswith(os.sep) else folder + os.sep
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split(os.sep)
            inner = parts if is_folder else parts[:-1]
            if (inner and not self.recursive) or any(map(is_skipped, parts)):
                continue
            if is_folder or extension(path) in self.extensions:
                return True
        return False

    def _in_glob(self, path: str, pattern: str) -> bool:
        if extension(path) not in self.extensions and extension(path) != extension(pattern):
            return False
        return matches(path.split(os.sep), pattern.split(os.sep), self.recursive)

    def _file(self, path: str) -> Iterator[ImageFile]:
        try:
            status = os.stat(path)
        except OSError as error:
            self.on_error(_unreadable(path, error))
            return
        yield from self._record(path, status)

    def _record(self, path: str, status: os.stat_result) -> Iterator[ImageFile]:
        if not stat.S_ISREG(status.st_mode):
            self.on_error(ImageError(path, Reason.UNREADABLE, "not a regular file"))
        elif self._name_is_text(path):
            yield ImageFile(path, status.st_size, status.st_mtime_ns)

    def _name_is_text(self, path: str) -> bool:
        try:
            path.encode()
        except UnicodeEncodeError:
            detail = "its name is not valid UTF-8"
            self.on_error(ImageError(_printable(path), Reason.UNREADABLE, detail))
            return False
        return True

    def _linked_folders(self) -> Iterator[ImageFile]:
        while self.links:
            yield from self._folder(self.links.popleft(), behind_link=True)

    def _folder(self, path: str, *, behind_link: bool = False) -> Iterator[ImageFile]:
        """The pictures of a folder and, in a recursive scan, of the folders below it."""
        waiting = [path]
        while waiting:
            folder = waiting.pop()
            if self._enter(folder, behind_link):
                subfolders: list[str] = []
                yield from self._files_in(folder, subfolders)
                waiting.extend(reversed(subfolders))

    def _enter(self, folder: str, behind_link: bool) -> bool:
        """Whether to scan a folder: not again behind a link, nor without a usable name."""
        if not self._name_is_text(folder):
            return False
        try:
            status = os.stat(folder)
        except OSError as error:
            self.on_error(_unreadable(folder, error))
            return False
        identity = status.st_dev, status.st_ino
        if behind_link and identity in self.entered:
            return False
        self.entered.add(identity)
        return True

    def _files_in(self, folder: str, subfolders: list[str]) -> Iterator[ImageFile]:
        """The pictures of one folder; its real subfolders are added to `subfolders`."""
        names: list[str] = []
        links: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not is_skipped(entry.name):
                        self._classify(entry, names, subfolders, links)
        except OSError as error:
            self.on_error(_unreadable(folder, error))
            return
        for name in sorted(names):
            yield from self._file(os.path.join(folder, name))
        subfolders.sort()
        if self.recursive:
            self.links.extend(sorted(links))
        else:
            subfolders.clear()

    def _classify(
        self,
        entry: os.DirEntry[str],
        names: list[str],
        subfolders: list[str],
        links: list[str],
    ) -> None:
        try:
            if entry.is_dir():
                (links if entry.is_symlink() else subfolders).append(entry.path)
            elif extension(entry.name) in self.extensions:
                names.append(entry.name)
        except OSError as error:
            self.on_error(_unreadable(entry.path, error))


def _printable(path: str) -> str:
    """A path that can be printed: bytes that are not UTF-8 as backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _unreadable(path: str, error: OSError) -> ImageError:
    is_link = os.path.islink(path)
    path = _printable(path)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        detail = "a link to nothing" if is_link else "it is no longer there"
        return ImageError(path, Reason.VANISHED, detail)
    if isinstance(error, PermissionError):
        return ImageError(path, Reason.PERMISSION, "no permission to read it")
    return ImageError(path, Reason.UNREADABLE, error.strerror or type(error).__name__)


def _names(stream: BinaryIO) -> Iterator[bytes]:
    """The names in a stream, which end in NULs if its first part has one, else in newlines."""
    rest = b""
    separator = b""
    while chunk := stream.read(1 << 16):
        separator = separator or (b"\0" if b"\0" in chunk else b"\n")
        *names, rest = (rest + chunk).split(separator)
        yield from filter(None, names)
    if rest:
        yield rest
