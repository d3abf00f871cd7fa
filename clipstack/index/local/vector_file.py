"""The file of a collection's vectors: slots of one vector each, read through a memory map.

A slot is the vector (float32 [dimension], little-endian), its Euclidean norm (float32), and a
checksum (uint32): a CRC-32 of the row's id and of these, mixed with the row's version. The norm
saves COSINE and L2 a second pass over the vectors. The checksum tells whether the slot holds what
the row that names it says, not an earlier or later vector of the same picture.

A file only grows: a process that has it mapped would be ended by the system (SIGBUS) if it were cut
off below it. Compaction writes another file.
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

_TRAILER = 2
"""Numbers of four bytes behind a vector: its norm and its checksum."""
_ODD = 0x9E3779B1
"""Multiplied by it, modulo 2**32, every version gives another number, with all bits mixed."""


class VectorFile:
    """The slots of one file.

    Args:
        path: of the file.
        dimension: numbers in a vector.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        self.path = path
        self.dimension = dimension
        self._width = dimension + _TRAILER
        self._map: Matrix | None = None
        self._lock = threading.Lock()

    @property
    def slot_bytes(self) -> int:
        """Bytes of one slot."""
        return 4 * self._width

    def whole_slots(self) -> int:
        """How many whole slots the file has; 0 where there is no file."""
        try:
            return self.path.stat().st_size // self.slot_bytes
        except FileNotFoundError:
            return 0

    def create(self) -> None:
        """Make the file, empty."""
        make_folder(self.path.parent)
        with self.path.open("xb") as file:
            sync(file.fileno())

    def slots(self, count: int) -> Matrix:
        """The first `count` slots as they lie on the disk, or as many as there are.

        Returns:
            float32 [slots, dimension + 2], mapped, not to be written to.

        Raises:
            FileNotFoundError: the file is gone.
        """
        with self._lock:
            if self._map is None or len(self._map) < count:
                self._map = self._mapped()
            return self._map[:count]

    def _mapped(self) -> Matrix:
        with self.path.open("rb") as file:
            rows = os.fstat(file.fileno()).st_size // self.slot_bytes
            if not rows:
                return np.empty((0, self._width), np.float32)
            mapped = mmap.mmap(file.fileno(), rows * self.slot_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, "<f4").reshape(rows, self._width)

    def forget(self) -> None:
        """Map the file anew when it is read next: a network file system may have changed it."""
        with self._lock:
            self._map = None

    def read_ahead(self, count: int) -> None:
        """Have the system read the first `count` slots from the disk, beside other work."""
        slots = self.slots(count)
        mapped = getattr(slots.base, "base", slots.base)
        if isinstance(mapped, memoryview):
            mapped = mapped.obj
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
            mapped.madvise(mmap.MADV_WILLNEED)

    def packed(self, ids: Sequence[str], vectors: Sequence[Vector]) -> Matrix:
        """Slots with these vectors, for rows with these ids and the version 0.

        Args:
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

    def mix(self, slots: Matrix, versions: Sequence[int]) -> None:
        """Mix versions into the checksums of slots, in place; done twice, it takes them out.

        Args:
            slots: float32 [rows, dimension + 2].
            versions: of the rows, or one for all.
        """
        mixed = (np.asarray(versions, np.uint64) * np.uint64(_ODD)).astype(np.uint32)
        slots.view("<u4")[:, -1] ^= mixed

    def are_whole(
        self, ids: Sequence[str], versions: Sequence[int], slots: Matrix
    ) -> npt.NDArray[np.bool_]:
        """Whether each slot holds what was written for the row with that id, at that version.

        Args:
            slots: float32 [rows, dimension + 2].
        """
        slots = np.array(slots)
        self.mix(slots, versions)
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

    def lengthen(self, slots: int) -> None:
        """Make the file as long as `slots` slots, where it is shorter; those are zeros."""
        with self.path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size < slots * self.slot_bytes:
                file.truncate(slots * self.slot_bytes)
                sync(file.fileno())

    def write(self, numbers: Sequence[int], slots: Matrix) -> None:
        """Write slots and return once they are on the disk.

        Args:
            numbers: of the slots, ascending.
            slots: float32 [rows, dimension + 2].
        """
        handle = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            for start, end in _runs(numbers):
                data = np.ascontiguousarray(slots[start:end]).data.cast("B")
                _write_at(handle, data, numbers[start] * self.slot_bytes)
            sync(handle)
        finally:
            os.close(handle)


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Where in `numbers` those stand that follow each other without a gap."""
    gaps = np.flatnonzero(np.diff(np.asarray(numbers, np.int64)) != 1) + 1
    edges = [0, *gaps.tolist(), len(numbers)]
    return list(pairwise(edges)) if len(numbers) else []


def _write_at(handle: int, data: memoryview, place: int) -> None:
    if not hasattr(os, "pwrite"):  # Windows
        os.lseek(handle, place, os.SEEK_SET)
    while data:
        size = os.pwrite(handle, data, place) if hasattr(os, "pwrite") else os.write(handle, data)
        data, place = data[size:], place + size
