"""A disk as a power failure leaves it: records of what was written to it in, folders of files out.

What was synced is there. Of what was not, nothing may be, or all, or any part, down to the sectors
of one write; of new and deleted names in a folder, too.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SECTOR = 512
_HEADER = struct.Struct("<cIQQ")
_SOURCE = Path(__file__).with_name("record_writes.c")


@dataclass(frozen=True)
class Record:
    """One thing that a process did; see record_writes.c."""

    operation: str
    path: str
    offset: int
    data: bytes


def compile_recorder(folder: Path) -> Path:
    """The recording library, compiled into `folder`; skips the test where it can't be."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("recording writes needs a C compiler, and Linux")
    library = folder / "record_writes.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


def record(command: list[str], root: Path, library: Path) -> list[Record]:
    """What a command does to the files below `root`, an absolute folder."""
    log = library.with_name("log")
    log.unlink(missing_ok=True)
    environment = {"RECORD_ROOT": str(root), "RECORD_LOG": str(log), "LD_PRELOAD": str(library)}
    subprocess.run(command, check=True, env=os.environ | environment)
    return list(_parse(log.read_bytes()))


def _parse(content: bytes):
    cursor = 0
    while cursor < len(content):
        operation, path, offset, size = _HEADER.unpack_from(content, cursor)
        start = cursor + _HEADER.size
        cursor = start + path + size
        data = content[start + path : cursor]
        yield Record(operation.decode(), content[start : start + path].decode(), offset, data)


@dataclass
class _File:
    """A file: its bytes when it was last synced, and the changes since."""

    synced: bytearray = field(default_factory=bytearray)
    changes: list[Record] = field(default_factory=list)


Names = dict[str, _File | None]
"""What names in a folder stand for; None for a folder of its own."""


class Disk:
    """Files and folders, and what of them is safe."""

    def __init__(self) -> None:
        self._names: Names = {}
        self._synced: Names = {}
        self._changes: list[tuple[str, _File | None, str]] = []

    def apply(self, record: Record) -> None:
        """Do what a record says."""
        operation, path = record.operation, record.path
        if operation == "C":
            self._name(path, _File())
        elif operation == "M":
            self._name(path, None)
        elif operation == "U":
            self._unname(path)
        elif operation == "R":
            moved = self._names[path]
            self._unname(path)
            self._name(record.data.decode(), moved)
        elif operation == "S":
            self._sync(path)
        elif file := self._names[path]:
            file.changes.append(record)

    def _name(self, path: str, file: _File | None) -> None:
        self._names[path] = file
        self._changes.append(("+", file, path))

    def _unname(self, path: str) -> None:
        self._changes.append(("-", self._names.pop(path), path))

    def _sync(self, path: str) -> None:
        file = self._names.get(path)
        if file:
            for change in file.changes:
                _write(file.synced, change, range(change.offset, change.offset + len(change.data)))
            file.changes.clear()
            return
        kept = []
        for change in self._changes:
            if _folder(change[2]) == path:
                _rename(self._synced, change)
            else:
                kept.append(change)
        self._changes = kept

    def after_failure(self, kind: str, rng: random.Random) -> dict[str, bytes | None]:
        """What is found once the power is back: the bytes of each file, None for a folder.

        Args:
            kind: of what was not synced: "none" is there, "all", "some", or "torn" parts of it.
        """
        names = dict(self._synced)
        for change in self._changes:
            if kind == "all" or (kind != "none" and rng.random() < 0.5):
                _rename(names, change)
        files: dict[str, bytes | None] = {}
        for path, file in sorted(names.items()):
            folder = _folder(path)
            if folder != "." and folder not in files:
                continue
            files[path] = None if file is None else _file_content(file, kind, rng)
        return files


def _folder(path: str) -> str:
    return str(Path(path).parent)


def _rename(names: Names, change: tuple[str, _File | None, str]) -> None:
    sign, file, path = change
    if sign == "+":
        names[path] = file
    elif names.get(path) is file:
        names.pop(path, None)


def _file_content(file: _File, kind: str, rng: random.Random) -> bytes:
    content = bytearray(file.synced)
    if kind == "none":
        return bytes(content)
    for change in file.changes:
        if kind in ("some", "torn") and rng.random() < 0.4:
            continue
        everything = range(change.offset, change.offset + len(change.data))
        _write(content, change, everything)
        if kind == "torn" and change.operation == "W":
            _tear(content, file, change, rng)
    return bytes(content)


def _write(content: bytearray, change: Record, span: range) -> None:
    if change.operation == "T":
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    content.extend(bytes(max(0, span.stop - len(content))))
    content[span.start : span.stop] = change.data


def _tear(content: bytearray, file: _File, change: Record, rng: random.Random) -> None:
    """Put what was there before, or zeros, in the place of some sectors of a write."""
    end = change.offset + len(change.data)
    for sector in range(change.offset // SECTOR, -(-end // SECTOR)):
        if rng.random() < 0.5:
            start, stop = max(sector * SECTOR, change.offset), min((sector + 1) * SECTOR, end)
            before = bytes(file.synced[start:stop])
            content[start:stop] = before + bytes(stop - start - len(before))


def write_files(files: dict[str, bytes | None], root: Path) -> None:
    """Write the files and folders of a state below `root`."""
    for path, content in files.items():
        if path.endswith("-shm"):
            continue
        if content is None:
            (root / path).mkdir(parents=True)
        else:
            (root / path).write_bytes(content)
