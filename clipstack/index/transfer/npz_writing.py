"""Exchange files that NumPy reads without help, written: a zip with one array for each column.

The vectors go into the zip as they come. The other columns wait in temporary files beside it, as
the members of a zip are written one after another.
"""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer.exchange_format import (
    METADATA,
    TEXTS,
    WHOLE_NUMBERS,
    described,
    facts_text,
)

_COPY_BYTES = 4 << 20
_LOCAL_HEADER = 30
"""Bytes of a zip member's header before its name and extra fields. Source: APPNOTE.TXT 4.3.7."""
_CRC_AT = 14
_LENGTHS_AT = 26


class NpzSink:
    """An npz file that is being written.

    Args:
        path: of the file.
        info: of the collection the rows come from.
        expected: how many rows there will be; another number costs a second reading of the vectors.
    """

    def __init__(self, path: Path, info: CollectionInfo, expected: int) -> None:
        self._dimension = info.dimension
        self._expected = expected
        self._rows = 0
        self._file = path.open("w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._write_array(METADATA, np.array(described(info)))
        self._numbers = {name: _spool(path.parent) for name in WHOLE_NUMBERS}
        self._texts = {name: _Texts(path.parent) for name in (*TEXTS, "facts")}
        self._vector = zipfile.ZipInfo("vector.npy")  # stored: float32 can't be compressed
        self._vectors = self._zip.open(self._vector, "w", force_zip64=True)
        self._vectors.write(self._vector_header(expected))

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._rows += len(rows)
        self._vectors.write(np.concatenate([row.vector for row in rows]).astype("<f4").data)
        for name, spool in self._numbers.items():
            spool.write(np.array([getattr(row, name) for row in rows], "<i8").tobytes())
        for name in TEXTS:
            self._texts[name].write(getattr(row, name) for row in rows)
        self._texts["facts"].write(facts_text(row.facts) or "" for row in rows)

    def finish(self) -> None:
        """Write the other columns and the directory of the zip."""
        self._vectors.close()
        if self._rows != self._expected:
            self._correct_header()
        for name, spool in self._numbers.items():
            self._write_parts(name, "<i8", self._rows, _parts(spool))
        for name in TEXTS:
            texts = self._texts[name]
            self._write_parts(name, f"S{texts.longest}", self._rows, texts.padded())
        facts = self._texts["facts"]
        self._write_parts("facts", "u1", facts.size, _parts(facts.data))
        self._write_parts("facts_offsets", "<i8", self._rows + 1, facts.offsets())
        self._zip.close()
        self._file.close()

    def close(self) -> None:
        """Close the files."""
        # On a full disk, what is buffered can't be written now either.
        with contextlib.suppress(OSError):
            self._vectors.close()
        with contextlib.suppress(OSError):
            self._zip.close()
        for file in (self._file, *self._numbers.values()):
            with contextlib.suppress(OSError):
                file.close()
        for texts in self._texts.values():
            texts.close()

    def _write_array(self, name: str, array: np.ndarray[Any, Any]) -> None:
        with self._zip.open(f"{name}.npy", "w") as member:
            np.lib.format.write_array(member, array, allow_pickle=False)

    def _write_parts(self, name: str, kind: str, count: int, parts: Iterable[bytes]) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(_header(kind, (count,)))
            for part in parts:
                member.write(part)

    def _vector_header(self, rows: int) -> bytes:
        return _header("<f4", (rows, self._dimension))

    def _correct_header(self) -> None:
        """Put the number of rows there were into the header of the vectors, and its checksum into
        the zip. NumPy pads headers so that the number fits in, whatever it is."""
        local = self._vector.header_offset
        self._file.seek(local + _LENGTHS_AT)
        start = local + _LOCAL_HEADER + sum(struct.unpack("<HH", self._file.read(4)))
        self._file.seek(start)
        self._file.write(self._vector_header(self._rows))
        self._file.seek(start)
        checksum, left = 0, self._vector.file_size
        while left:
            data = self._file.read(min(left, _COPY_BYTES))
            checksum, left = zlib.crc32(data, checksum), left - len(data)
        self._vector.CRC = checksum
        self._file.seek(local + _CRC_AT)
        self._file.write(struct.pack("<L", checksum))


class _Texts:
    """A column of texts in temporary files: their bytes, and the length of each."""

    def __init__(self, folder: Path) -> None:
        self.data = _spool(folder)
        self.size = 0
        self.longest = 1
        self._lengths = _spool(folder)

    def write(self, texts: Iterable[str]) -> None:
        encoded = [text.encode() for text in texts]
        lengths = np.array([len(text) for text in encoded], "<i4")
        self._lengths.write(lengths.tobytes())
        self.data.write(b"".join(encoded))
        self.size += int(lengths.sum())
        self.longest = max(self.longest, int(lengths.max(initial=0)))

    def padded(self) -> Iterable[bytes]:
        """The texts, each filled up with zeros to the longest one."""
        self.data.seek(0)
        at_once = max(1, _COPY_BYTES // self.longest)
        for part in _parts(self._lengths, 4 * at_once):
            texts = [self.data.read(length) for length in np.frombuffer(part, "<i4").tolist()]
            yield np.array(texts, f"S{self.longest}").tobytes()

    def offsets(self) -> Iterable[bytes]:
        """Where each text begins, and where the last one ends."""
        end = 0
        yield np.zeros(1, "<i8").tobytes()
        for part in _parts(self._lengths):
            ends = end + np.cumsum(np.frombuffer(part, "<i4"), dtype=np.int64)
            end = int(ends[-1])
            yield ends.astype("<i8").tobytes()

    def close(self) -> None:
        self.data.close()
        self._lengths.close()


def _spool(folder: Path) -> IO[bytes]:
    """A file without a name, on the disk that the result goes to."""
    return tempfile.TemporaryFile(dir=folder)


def _parts(file: IO[bytes], size: int = _COPY_BYTES) -> Iterable[bytes]:
    file.seek(0)
    while part := file.read(size):
        yield part


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()
