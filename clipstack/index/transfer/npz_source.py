"""Reader for npz exchange files, written by clipstack or by `numpy.savez`.

Arrays are read in parallel from the zip, some rows at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import numpy as np

from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo
from clipstack.index.transfer import validation
from clipstack.index.transfer.exchange_format import (
    INTEGERS,
    MAX_BATCH_BYTES,
    METADATA,
    ORDER,
    REQUIRED,
    Batch,
    RowProblem,
    info_from_json,
)

_OFFSETS_SUFFIX = "_offsets"
_COPY_BYTES = 4 << 20
_MAX_METADATA_BYTES = 1 << 20


class _Array(NamedTuple):
    """The header of an array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


class NpzSource:
    """An npz file that is open for reading.

    Raises:
        ClipstackError: it is not an npz file, lacks an array, or has one of an unusable type.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with _errors(path):
            self._zip = zipfile.ZipFile(path)
            try:
                self._read_description()
            except BaseException:
                self._zip.close()
                raise

    def _read_description(self) -> None:
        member_names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        self._names = {name for name in member_names if name in ORDER and name != "tags"}
        used_names = {*self._names, *(f"{name}{_OFFSETS_SUFFIX}" for name in self._names), METADATA}
        self.unused = [name for name in member_names if name not in used_names]
        for name in REQUIRED:
            if name not in self._names:
                raise ClipstackError(
                    f"{self.path}: has no array {name!r}",
                    hint=f"It has: {', '.join(member_names)}. Save the pictures' paths as path and "
                    "their vectors as vector: np.savez(FILE, path=..., vector=...).",
                )
        self._arrays = {name: self._array(name) for name in used_names & set(member_names)}
        vector = self._arrays["vector"]
        if len(vector.shape) != 2 or vector.dtype.kind != "f" or vector.dtype.itemsize > 8:
            raise self._unusable_array_error("vector", "floating-point numbers, [rows, dimension]")
        self.rows, self.dimension = vector.shape
        for name in self._names - {"vector"}:
            self._check_array(name)
        self.info = self._read_info()

    def _array(self, name: str) -> _Array:
        with self._zip.open(f"{name}.npy") as member:
            return _header(member)

    def _check_array(self, name: str) -> None:
        array, offsets = self._arrays[name], self._arrays.get(f"{name}{_OFFSETS_SUFFIX}")
        if name in INTEGERS:
            is_usable, expected = array.dtype.kind in "iuf", f"{self.rows} whole numbers"
        elif offsets is not None:
            is_usable = array.dtype == np.uint8 and len(array.shape) == 1
            is_usable = (
                is_usable and offsets.dtype.kind in "iu" and offsets.shape == (self.rows + 1,)
            )
            expected = f"bytes, with {self.rows + 1} offsets"
        else:
            is_usable, expected = array.dtype.kind in "SU", f"{self.rows} texts"
        if offsets is None or name in INTEGERS:
            is_usable = is_usable and array.shape == (self.rows,)
        if not is_usable:
            raise self._unusable_array_error(name, expected)

    def _unusable_array_error(self, name: str, expected: str) -> ClipstackError:
        array = self._arrays[name]
        hint = "Convert it, or leave it out: only path and vector are needed."
        if array.dtype.hasobject:
            hint = "It was saved as Python objects, which can't be read without running what is in "
            hint += f"the file. Save texts as texts: np.array({name}, dtype=str)."
        return ClipstackError(
            f"{self.path}: the array {name!r} must be {expected}, not {array.dtype} "
            f"{list(array.shape)}",
            hint=hint,
        )

    def _read_info(self) -> CollectionInfo | None:
        array = self._arrays.get(METADATA)
        if array is None:
            return None
        if array.shape != () or array.dtype.kind != "U":
            return info_from_json("", self.path)
        if array.dtype.itemsize > _MAX_METADATA_BYTES:
            return info_from_json("", self.path)
        with self._zip.open(f"{METADATA}.npy") as member:
            return info_from_json(
                str(np.lib.format.read_array(member, allow_pickle=False)), self.path
            )

    def batches(self, dimension: int) -> Iterator[Batch]:
        """All rows, in order."""
        with _errors(self.path), contextlib.ExitStack() as stack:
            columns = {
                name: _Column(name, self._open(name, stack), self._open_offsets(name, stack))
                for name in self._names
            }
            size = max(1, MAX_BATCH_BYTES // sum(map(_row_bytes, self._arrays.values())))
            for first in range(0, self.rows, size):
                yield _batch(first, min(size, self.rows - first), columns, dimension)
            for column in columns.values():
                column.end()

    def _open(self, name: str, stack: contextlib.ExitStack) -> _Elements:
        member = stack.enter_context(self._zip.open(f"{name}.npy"))
        array = _header(member)
        if not array.fortran or len(array.shape) < 2:
            return _Elements(member, array)
        return _ColumnMajorElements(stack.enter_context(_unpack(member)), array)

    def _open_offsets(self, name: str, stack: contextlib.ExitStack) -> _Elements | None:
        offsets = f"{name}{_OFFSETS_SUFFIX}"
        return self._open(offsets, stack) if offsets in self._arrays else None

    def close(self) -> None:
        """Close the file."""
        self._zip.close()


class _Elements:
    """The elements of an array, read in order along its first axis."""

    def __init__(self, file: IO[bytes], array: _Array) -> None:
        self._file = file
        self._shape = array.shape[1:]
        self._dtype = array.dtype

    def read(self, count: int) -> np.ndarray[Any, Any]:
        """The next `count` elements."""
        shape = (count, *self._shape)
        size = int(np.prod(shape)) * self._dtype.itemsize
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError("an array ends too early")
        return np.frombuffer(data, self._dtype).reshape(shape)

    def end(self) -> None:
        """Read to the end, so that zipfile verifies the checksum."""
        while self._file.read(_COPY_BYTES):
            pass


class _ColumnMajorElements(_Elements):
    """The rows of an array in column-major order, unpacked into a file."""

    def __init__(self, file: IO[bytes], array: _Array) -> None:
        super().__init__(file, array)
        self._array = np.memmap(file, array.dtype, "r", 0, array.shape, "F")
        self._position = 0

    def read(self, count: int) -> np.ndarray[Any, Any]:
        """The next `count` rows."""
        self._position += count
        return np.ascontiguousarray(self._array[self._position - count : self._position])


@dataclass(slots=True)
class _Column:
    """A column, read some rows at a time.

    Attributes:
        elements: one per row; or, with offsets, the bytes of all texts.
    """

    name: str
    elements: _Elements
    offsets: _Elements | None
    _end: int | None = None

    def read(self, count: int, problems: dict[int, RowProblem]) -> Sequence[Any]:
        """The values of the next rows; None for one with a problem."""
        if self.name in INTEGERS:
            numbers = self.elements.read(count)
            if numbers.dtype.kind != "f":
                integers: list[int] = numbers.tolist()
                return integers
            return validation.to_integers(self.name, numbers.tolist(), problems)
        if self.offsets is not None:
            texts = self._texts(count, self.offsets)
        else:
            texts = self.elements.read(count).tolist()
        return validation.to_texts(self.name, texts, problems)

    def _texts(self, count: int, offsets: _Elements) -> list[bytes]:
        if self._end is None:
            self._end = int(offsets.read(1)[0])
        ends = offsets.read(count).tolist()
        starts = [self._end, *ends[:-1]]
        if any(start > end for start, end in zip(starts, ends, strict=True)):
            raise EOFError(f"{self.name}{_OFFSETS_SUFFIX} must not go down")
        data = self.elements.read(ends[-1] - self._end).tobytes()
        start, self._end = self._end, ends[-1]
        return [
            data[text_start - start : text_end - start]
            for text_start, text_end in zip(starts, ends, strict=True)
        ]

    def end(self) -> None:
        """Verify checksums."""
        self.elements.end()
        if self.offsets is not None:
            self.offsets.end()


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    """Raise errors of the zip and of arrays in it as ClipstackErrors."""
    try:
        yield
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError),
        *(RuntimeError, NotImplementedError),  # encrypted, or an unknown compression
    ) as error:
        detail = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ClipstackError(
            f"{path}: not a complete npz file ({detail})",
            hint="Check that it was copied completely, or write it anew.",
        ) from error


@contextlib.contextmanager
def _unpack(member: IO[bytes]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        while data := member.read(_COPY_BYTES):
            file.write(data)
        file.flush()
        yield file


def _header(member: IO[bytes]) -> _Array:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return _Array(*np.lib.format.read_array_header_1_0(member))
    return _Array(*np.lib.format.read_array_header_2_0(member))


def _row_bytes(array: _Array) -> int:
    """Bytes of an element along the first axis in memory."""
    return int(np.prod(array.shape[1:])) * array.dtype.itemsize


def _batch(first: int, count: int, columns: Mapping[str, _Column], dimension: int) -> Batch:
    problems: dict[int, RowProblem] = {}
    values = {
        name: column.read(count, problems) for name, column in columns.items() if name != "vector"
    }
    with np.errstate(over="ignore"):  # found as not finite
        vectors = columns["vector"].elements.read(count).astype(np.float32, copy=False)
    if vectors.shape[1] != dimension:
        detail = f"{vectors.shape[1]} numbers, not {dimension}"
        problems = dict.fromkeys(range(count), RowProblem(validation.WRONG_DIMENSION, detail))
        vectors = np.zeros((count, dimension), np.float32)
    return Batch(first, values, vectors, problems)
