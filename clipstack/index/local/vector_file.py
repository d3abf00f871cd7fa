"""The file with a collection's vectors: one slot per vector, read through a memory map.

A slot holds the vector (float32 [dimension], little-endian), its Euclidean norm (float32) and a
checksum (uint32): the CRC-32 of the row's id, the vector and the norm, XORed with a hash of the
row's version. The norm saves COSINE and L2 a second pass over the vectors. The checksum tells
whether the slot holds the vector of its row's version, not an earlier or later one of that picture.

A file only grows: truncating it would kill processes that have it mapped (SIGBUS). Compaction
writes a new file.
"""

from __future__ import annotations

import mmap
import os
import threading
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipstack.index.local.filesystem import make_folder, sync

if TYPE_CHECKING:
    import numpy.typing as npt

    from clipstack.index.schema import Matrix, Vector

    Slots = npt.NDArray[np.int64]

_TRAILER_WORDS = 2
"""32-bit words after a vector: its norm and its checksum."""
_VERSION_FACTOR = 0x9E3779B1
"""Odd, so that its product with each version, modulo 2**32, is different."""


class VectorFile:
    """The slots of one file.

    Args:
        path: of the file.
        dimension: numbers in a vector.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        self.path = path
        self.dimension = dimension
        self._width = dimension + _TRAILER_WORDS
        self._map: Matrix | None = None
        self._lock = threading.Lock()

    @property
    def slot_bytes(self) -> int:
        """Size of one slot in bytes."""
        return 4 * self._width

    def slot_count(self) -> int:
        """Number of complete slots in the file; 0 if the file does not exist."""
        try:
            return self.path.stat().st_size // self.slot_bytes
        except FileNotFoundError:
            return 0

    def create(self) -> None:
        """Create an empty file."""
        make_folder(self.path.parent)
        with self.path.open("xb") as file:
            sync(file.fileno())

    def slots(self, count: int) -> Matrix:
        """The first `count` slots, or as many as the file has, not verified.

        Returns:
            float32 [slots, dimension + 2], mapped read-only.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with self._lock:
            if self._map is None or len(self._map) < count:
                self._map = self._map_file()
            return self._map[:count]

    def _map_file(self) -> Matrix:
        with self.path.open("rb") as file:
            rows = os.fstat(file.fileno()).st_size // self.slot_bytes
            if not rows:
                return np.empty((0, self._width), np.float32)
            mapping = mmap.mmap(file.fileno(), rows * self.slot_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(mapping, "<f4").reshape(rows, self._width)

    def unmap(self) -> None:
        """Map the file again at the next read: a network file system may have changed it."""
        with self._lock:
            self._map = None

    def read_ahead(self, count: int) -> None:
        """Ask the system to read the first `count` slots from the disk in the background."""
        slots = self.slots(count)
        mapping = getattr(slots.base, "base", slots.base)
        if isinstance(mapping, memoryview):
            mapping = mapping.obj
        if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
            mapping.madvise(mmap.MADV_WILLNEED)

    def pack(self, ids: Sequence[str], vectors: Sequence[Vector]) -> Matrix:
        """Slots for rows of version 0.

        Args:
            ids: of the rows.
            vectors: of the rows, float32 [dimension] each.

        Returns:
            float32 [rows, dimension + 2].
        """
        slots = np.empty((len(ids), self._width), "<f4")
        content = slots[:, : self.dimension]
        np.stack(vectors, out=content, casting="same_kind")
        squares = np.einsum("ij,ij->i", content, content, dtype=np.float64)
        slots[:, self.dimension] = np.sqrt(squares)
        checksums = slots.view("<u4")
        for row, id in enumerate(ids):
            checksums[row, -1] = self._checksum(id, slots[row])
        return slots

    def xor_versions(self, slots: Matrix, versions: Sequence[int]) -> None:
        """XOR hashes of versions into the checksums of slots, in place; twice restores them.

        Args:
            slots: float32 [rows, dimension + 2].
            versions: of the rows, or one for all.
        """
        masks = (np.asarray(versions, np.uint64) * np.uint64(_VERSION_FACTOR)).astype(np.uint32)
        slots.view("<u4")[:, -1] ^= masks

    def verify(
        self, ids: Sequence[str], versions: Sequence[int], slots: Matrix
    ) -> npt.NDArray[np.bool_]:
        """Whether each slot holds the vector of the row with that id at that version.

        Args:
            slots: float32 [rows, dimension + 2].

        Returns:
            bool [rows].
        """
        slots = np.array(slots)
        self.xor_versions(slots, versions)
        checksums = slots.view("<u4")[:, -1].tolist()
        return np.array(
            [
                self._checksum(id, slot) == checksum
                for id, slot, checksum in zip(ids, slots, checksums, strict=True)
            ],
            np.bool_,
        )

    def _checksum(self, id: str, slot: npt.NDArray[np.float32]) -> int:
        return zlib.crc32(slot[: self.dimension + 1].data, zlib.crc32(id.encode()))

    def extend(self, slots: int) -> None:
        """Extend the file with zeros to `slots` slots, if it is shorter."""
        with self.path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size < slots * self.slot_bytes:
                file.truncate(slots * self.slot_bytes)
                sync(file.fileno())

    def write(self, numbers: Sequence[int], slots: Matrix) -> None:
        """Write slots durably.

        Args:
            numbers: positions of the slots in the file, ascending.
            slots: float32 [rows, dimension + 2].
        """
        fd = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            for start, end in _consecutive_runs(numbers):
                data = np.ascontiguousarray(slots[start:end]).data.cast("B")
                _write_at(fd, data, numbers[start] * self.slot_bytes)
            sync(fd)
        finally:
            os.close(fd)


def _consecutive_runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of indexes into `numbers` whose numbers are consecutive."""
    gaps = np.flatnonzero(np.diff(np.asarray(numbers, np.int64)) != 1) + 1
    edges = [0, *gaps.tolist(), len(numbers)]
    return list(pairwise(edges)) if len(numbers) else []


def _write_at(fd: int, data: memoryview, offset: int) -> None:
    if not hasattr(os, "pwrite"):  # Windows
        os.lseek(fd, offset, os.SEEK_SET)
    while data:
        size = os.pwrite(fd, data, offset) if hasattr(os, "pwrite") else os.write(fd, data)
        data, offset = data[size:], offset + size
