"""A Milvus Lite file in, the rows nearest to a vector out, without the engine: a `Finder`.

For one search of a process the engine costs more than the search: half a second to start, to load
the rows and to import pymilvus. The file is an SQLite database that holds each row as a message of
Milvus' protocol, so the same search, which is exact there too, takes a tenth. Everything else, and
a file that looks otherwise than expected, is left to the engine.

Source: milvus-lite 2.5.1 (pinned), src/storage/sqlite and milvus-proto 2.5, schema.proto: a row is
`message InsertRow`-like, field 1 repeated FieldData (type 1, field_name 2, scalars 3, vectors 4).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from clipstack.index.lock import Lock
from clipstack.index.schema import CollectionInfo
from clipstack.index.store import Hit, hit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.index.schema import Matrix, Vector

    Chunk: TypeAlias = tuple[npt.NDArray[np.int64], Matrix]

_ROWS_AT_ONCE = 2000
_AHEAD_BYTES = 64 << 20
_IDS_AT_ONCE = 500
_FLOAT_VECTOR = 101
_INNER = ("RowID", "Timestamp")
_LEAST_DIMENSION = 32
"""From here on a vector's length takes two bytes, the first of which no text can hold."""


class Unexpected(Exception):
    """The file is not laid out as Milvus Lite 2.5.1 does it, or is being recovered."""


class LiteFile(AbstractContextManager["LiteFile"]):
    """One collection of an embedded database, read where it lies; several processes may at once.

    Use as a context manager, in one thread.

    Args:
        path: of the database.
        name: of the collection.
        wait: seconds to wait for a process that has the database open.

    Raises:
        Unexpected: let the engine do it, and say what is wrong.
        UnreachableError: another process still has the database open.
    """

    def __init__(self, path: Path, name: str, *, wait: float) -> None:
        path = path.expanduser().absolute().resolve()
        if not path.is_file():
            raise Unexpected
        self._lock = Lock(path)
        self._lock.acquire(wait, shared=True)
        self._ahead: list[Chunk] = []
        with contextlib.ExitStack() as undone:
            undone.callback(self._lock.release)
            try:
                # Read-only: one whose last writer was killed in the midst is left to the engine.
                self._database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
                undone.callback(self._database.close)
                self._database.text_factory = bytes
                self.info = self._info(name)
            except (sqlite3.Error, OSError, ValueError) as error:
                raise Unexpected from error
            undone.pop_all()

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise Unexpected from error

    def close(self) -> None:
        """Let whoever wants to write in."""
        self._database.close()
        self._lock.release()

    def _info(self, name: str) -> CollectionInfo:
        asked = "SELECT blob_field FROM collection_meta WHERE collection_name = ? AND meta_type = ?"
        found = self._database.execute(asked, (name, "schema")).fetchone()
        parts = dict(_fields(found[0])) if found else {}
        info = CollectionInfo.from_description(name, bytes(parts.get(2, b"")).decode())
        if info is None or info.dimension < _LEAST_DIMENSION:
            raise Unexpected
        return info

    def read_ahead(self) -> None:
        """Read what is near at hand, up to 64 MB of vectors, while the query is being encoded."""
        size = 4 * self.info.dimension * _ROWS_AT_ONCE
        self._ahead = list(islice(self._read(-1), max(1, _AHEAD_BYTES // size)))

    def search_all(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        expression: str = "",
        params: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first; as `Store.search_all`.

        Raises:
            Unexpected: with an expression, or where a row is not as expected.
        """
        if expression:
            raise Unexpected
        return [self._nearest(vector, limit + offset)[offset:] for vector in vectors]

    def _nearest(self, vector: Vector, limit: int) -> list[Hit]:
        import numpy as np

        sign = -1.0 if self.info.metric == "L2" else 1.0
        numbers: npt.NDArray[np.int64] = np.empty(0, np.int64)
        scores: npt.NDArray[np.float32] = np.empty(0, np.float32)
        for some, vectors in self._chunks():
            numbers = np.concatenate([numbers, some])
            scores = np.concatenate([scores, sign * _scores(self.info.metric, vectors, vector)])
            if len(scores) > 4 * limit + _ROWS_AT_ONCE:
                kept = np.argpartition(-scores, limit)[:limit]
                numbers, scores = numbers[kept], scores[kept]
        best = np.argsort(-scores, kind="stable")[:limit]
        return [
            hit(self._entity(int(numbers[at])), float(sign * scores[at])) for at in best.tolist()
        ]

    def _chunks(self) -> Iterator[Chunk]:
        yield from self._ahead
        yield from self._read(int(self._ahead[-1][0][-1]) if self._ahead else -1)

    def _read(self, after: int) -> Iterator[Chunk]:
        """The numbers and vectors of the rows after the one with that number."""
        import numpy as np

        asked = f'SELECT id, data FROM "{self.info.name}" WHERE id > ? ORDER BY id'
        cursor = self._database.execute(asked, (after,))
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            numbers = np.array([number for number, _ in rows], np.int64)
            yield numbers, self._unpacked([data for _, data in rows])

    def _unpacked(self, rows: Sequence[bytes]) -> Matrix:
        """The vectors of rows, float32 [rows, dimension]."""
        import numpy as np

        mark, size = _mark(self.info.dimension), 4 * self.info.dimension
        starts = [data.find(mark) + len(mark) for data in rows]
        if min(starts, default=len(mark)) < len(mark):
            raise Unexpected
        packed = b"".join(
            data[start : start + size] for start, data in zip(starts, rows, strict=True)
        )
        return np.frombuffer(packed, "<f4").reshape(len(rows), self.info.dimension)

    def _entity(self, number: int) -> dict[str, Any]:
        asked = f'SELECT data FROM "{self.info.name}" WHERE id = ?'
        return _entity(self._database.execute(asked, (number,)).fetchone()[0])

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        found: dict[str, Vector] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            asked = f'SELECT milvus_id, data FROM "{self.info.name}" WHERE milvus_id IN ({{}})'
            rows = self._database.execute(asked.format(",".join("?" * len(some))), some).fetchall()
            names = [bytes(name).decode() for name, _ in rows]
            found.update(zip(names, self._unpacked([data for _, data in rows]), strict=True))
        return found

    def count(self, expression: str = "") -> int:
        """Rows of the collection."""
        if expression:
            raise Unexpected
        asked = f'SELECT count(*) FROM "{self.info.name}"'
        return int(self._database.execute(asked).fetchone()[0])

    def sample(
        self,
        count: int,
        *,
        rows: int = 0,  # noqa: ARG002
        expression: str = "",
    ) -> Matrix:
        """The vectors of the `count` rows with the lowest ids; as `Store.sample`."""
        if expression:
            raise Unexpected
        asked = f'SELECT data FROM "{self.info.name}" ORDER BY milvus_id LIMIT ?'
        return self._unpacked([data for (data,) in self._database.execute(asked, (count,))])

    def is_empty(self) -> bool:
        """Whether the collection has no rows."""
        return not self._database.execute(f'SELECT 1 FROM "{self.info.name}" LIMIT 1').fetchone()


def _scores(metric: str, vectors: Matrix, vector: Vector) -> npt.NDArray[np.float32]:
    import numpy as np

    if metric == "L2":
        apart = vectors - vector
        squared: npt.NDArray[np.float32] = np.einsum("ij,ij->i", apart, apart)
        return squared
    products: npt.NDArray[np.float32] = vectors @ vector
    if metric == "IP":
        return products
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * np.linalg.norm(vector)
    cosines: npt.NDArray[np.float32] = products / np.maximum(lengths, np.finfo(np.float32).tiny)
    return cosines


def _mark(dimension: int) -> bytes:
    """What precedes the numbers of a row's vector, and is found nowhere before them.

    The fields of a FieldData after its type and name: the vector, its dimension, and its numbers
    as packed floats. The first byte of the lengths is none of UTF-8's, so that no path holds it.
    """
    size = 4 * dimension
    numbers = b"\x0a" + _varint(size)
    floats = b"\x12" + _varint(len(numbers) + size) + numbers
    vector = b"\x08" + _varint(dimension) + floats
    return (
        b"\x08" + _varint(_FLOAT_VECTOR) + b"\x12\x06vector" + b'"' + _varint(len(vector) + size)
    ) + vector


def _entity(data: bytes) -> dict[str, Any]:
    """A row's scalar fields by name; what is in its dynamic field stands beside them."""
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        if number != 1:
            continue
        parts = dict(_fields(value))
        name = bytes(parts[2]).decode()
        if 3 in parts and name not in _INNER:
            found[name] = _scalar(parts[3])
    return {**json.loads(found.pop("$meta", b"{}")), **found}


def _scalar(data: bytes) -> Any:
    """The one value of a ScalarField: 3 whole numbers, 6 texts, 9 JSON."""
    kind, values = next(iter(_fields(data)))
    part = next((value for number, value in _fields(values) if number == 1), b"")
    if kind == 3:
        return _signed(_read_varint(part, 0)[0])
    return part.decode() if kind == 6 else part


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: their numbers, and bytes or whole numbers.

    Source: https://protobuf.dev/programming-guides/encoding
    """
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = _read_varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise Unexpected


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise Unexpected
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        shift += 7
        if byte < 128:
            return value, at


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
