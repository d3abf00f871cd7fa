"""Writer for npz exchange files: a zip with one array per column.

Vectors are written to the zip as they come. The other columns are spooled to temporary files, as
the members of a zip must be written one after another.
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
    INTEGERS,
    METADATA,
    TEXTS,
    facts_to_json,
    info_to_json,
)

_COPY_BYTES = 4 << 20
_LOCAL_HEADER_BYTES = 30
"""Bytes of a zip member's header before its name and extra fields. Source: APPNOTE.TXT 4.3.7."""
_CRC_OFFSET = 14
_LENGTHS_OFFSET = 26


class NpzSink:
    """An npz file that is being written.

    Args:
        path: of the file.
        info: of the collection the rows come from.
        expected: number of rows; if it is wrong, the vectors have to be read again.
    """

    def __init__(self, path: Path, info: CollectionInfo, expected: int) -> None:
        self._dimension = info.dimension
        self._expected_rows = expected
        self._rows = 0
        self._file = path.open("w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._write_array(METADATA, np.array(info_to_json(info)))
        self._spools = {name: _spool(path.parent) for name in INTEGERS}
        self._text_spools = {name: _TextSpool(path.parent) for name in (*TEXTS, "facts")}
        self._vector = zipfile.ZipInfo("vector.npy")  # stored: float32 can't be compressed
        self._vectors = self._zip.open(self._vector, "w", force_zip64=True)
        self._vectors.write(self._vector_header(expected))

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._rows += len(rows)
        self._vectors.write(np.concatenate([row.vector for row in rows]).astype("<f4").data)
        for name, spool in self._spools.items():
            spool.write(np.array([getattr(row, name) for row in rows], "<i8").tobytes())
        for name in TEXTS:
            self._text_spools[name].write(getattr(row, name) for row in rows)
        self._text_spools["facts"].write(facts_to_json(row.facts) or "" for row in rows)

    def finish(self) -> None:
        """Write the other columns and the directory of the zip."""
        self._vectors.close()
        if self._rows != self._expected_rows:
            self._rewrite_header()
        for name, spool in self._spools.items():
            self._write_chunks(name, "<i8", self._rows, _chunks(spool))
        for name in TEXTS:
            texts = self._text_spools[name]
            self._write_chunks(name, f"S{texts.longest}", self._rows, texts.padded())
        facts = self._text_spools["facts"]
        self._write_chunks("facts", "u1", facts.size, _chunks(facts.data))
        self._write_chunks("facts_offsets", "<i8", self._rows + 1, facts.offsets())
        self._zip.close()
        self._file.close()

    def close(self) -> None:
        """Close the files."""
        # On a full disk, closing fails too, as it flushes buffers.
        with contextlib.suppress(OSError):
            self._vectors.close()
        with contextlib.suppress(OSError):
            self._zip.close()
        for file in (self._file, *self._spools.values()):
            with contextlib.suppress(OSError):
                file.close()
        for texts in self._text_spools.values():
            texts.close()

    def _write_array(self, name: str, array: np.ndarray[Any, Any]) -> None:
        with self._zip.open(f"{name}.npy", "w") as member:
            np.lib.format.write_array(member, array, allow_pickle=False)

    def _write_chunks(self, name: str, dtype: str, count: int, chunks: Iterable[bytes]) -> None:
        with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
            member.write(_header(dtype, (count,)))
            for chunk in chunks:
                member.write(chunk)

    def _vector_header(self, rows: int) -> bytes:
        return _header("<f4", (rows, self._dimension))

    def _rewrite_header(self) -> None:
        """Write the actual number of rows to the header of the vectors, and the new checksum to the
        zip. NumPy pads headers so that every number fits."""
        member_offset = self._vector.header_offset
        self._file.seek(member_offset + _LENGTHS_OFFSET)
        start = member_offset + _LOCAL_HEADER_BYTES + sum(struct.unpack("<HH", self._file.read(4)))
        self._file.seek(start)
        self._file.write(self._vector_header(self._rows))
        self._file.seek(start)
        checksum, remaining = 0, self._vector.file_size
        while remaining:
            data = self._file.read(min(remaining, _COPY_BYTES))
            checksum, remaining = zlib.crc32(data, checksum), remaining - len(data)
        self._vector.CRC = checksum
        self._file.seek(member_offset + _CRC_OFFSET)
        self._file.write(struct.pack("<L", checksum))


class _TextSpool:
    """A column of texts in temporary files: their bytes and their lengths."""

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
        """The texts, zero-padded to the length of the longest."""
        self.data.seek(0)
        chunk_size = max(1, _COPY_BYTES // self.longest)
        for lengths in _chunks(self._lengths, 4 * chunk_size):
            texts = [self.data.read(length) for length in np.frombuffer(lengths, "<i4").tolist()]
            yield np.array(texts, f"S{self.longest}").tobytes()

    def offsets(self) -> Iterable[bytes]:
        """The start of each text, and the end of the last one."""
        end = 0
        yield np.zeros(1, "<i8").tobytes()
        for lengths in _chunks(self._lengths):
            ends = end + np.cumsum(np.frombuffer(lengths, "<i4"), dtype=np.int64)
            end = int(ends[-1])
            yield ends.astype("<i8").tobytes()

    def close(self) -> None:
        self.data.close()
        self._lengths.close()


def _spool(folder: Path) -> IO[bytes]:
    """An unnamed file on the disk of the result."""
    return tempfile.TemporaryFile(dir=folder)


def _chunks(file: IO[bytes], size: int = _COPY_BYTES) -> Iterable[bytes]:
    file.seek(0)
    while chunk := file.read(size):
        yield chunk


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()
