"""Exchange files in Parquet, by pyarrow, which `clipstack-search[parquet]` installs."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import validation
from clipstack.index.transfer.exchange_format import (
    INTEGERS,
    METADATA,
    ORDER,
    REQUIRED,
    TEXTS,
    Batch,
    RowProblem,
    facts_to_json,
    info_from_json,
    info_to_json,
    rows_per_batch,
)

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix

_BUFFER_BYTES = 1 << 20


def check_installed() -> None:
    """Raise PrerequisiteError unless pyarrow is installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise PrerequisiteError(
            "Parquet files are read and written by pyarrow, which is not installed",
            hint="Type `pip install 'clipstack-search[parquet]'`, or use an .npz file, which needs "
            "nothing more.",
        )


def schema(info: CollectionInfo) -> Any:
    """The pyarrow schema of an exchange file."""
    import pyarrow as pa

    types = {name: pa.string() for name in (*TEXTS, "facts")}
    types |= {name: pa.int64() for name in INTEGERS}
    types["tags"] = pa.list_(pa.string())
    types["vector"] = pa.list_(pa.field("element", pa.float32(), nullable=False), info.dimension)
    may_be_null = ("facts", "tags")
    return pa.schema(
        [pa.field(name, types[name], nullable=name in may_be_null) for name in ORDER],
        metadata={METADATA: info_to_json(info)},
    )


class ParquetSink:
    """A Parquet file that is being written, one row group per call of `write`.

    Vectors are not compressible, and the rest is small, so that Zstandard costs little.
    """

    def __init__(self, path: Path, info: CollectionInfo) -> None:
        import pyarrow.parquet as pq

        self._schema = schema(info)
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression={name: "zstd" for name in ORDER if name not in ("tags", "vector")}
            | {"tags.list.element": "zstd", "vector.list.element": "none"},
            use_dictionary=["format"],
            write_statistics=[*TEXTS, *INTEGERS],
            write_page_checksum=True,
        )

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        import pyarrow as pa

        values: dict[str, Any] = {
            name: [getattr(row, name) for row in rows] for name in (*TEXTS, *INTEGERS)
        }
        values["facts"] = [facts_to_json(row.facts) for row in rows]
        values["tags"] = [row.facts.get("tags") for row in rows]
        vectors = pa.array(np.concatenate([row.vector for row in rows]))
        arrays = [
            pa.FixedSizeListArray.from_arrays(vectors, type=field.type)
            if field.name == "vector"
            else pa.array(values[field.name], field.type)
            for field in self._schema
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class ParquetSource:
    """A Parquet file that is open for reading, written by clipstack or another program.

    Raises:
        ClipstackError: it is not a Parquet file, lacks a column, or has one of an unusable type.
    """

    def __init__(self, path: str) -> None:
        import pyarrow.parquet as pq

        self.path = path
        with _errors(path):
            # Pre-buffering would hold whole row groups in memory, or all of them.
            self._file = pq.ParquetFile(
                path,
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
                page_checksum_verification=True,
            )
            try:
                self._read_description(self._file.schema_arrow)
            except BaseException:
                self._file.close()
                raise

    def _read_description(self, arrow_schema: Any) -> None:
        _check_columns(self.path, arrow_schema)
        self.rows = int(self._file.metadata.num_rows)
        self.unused = [name for name in arrow_schema.names if name not in ORDER]
        self._names = [name for name in arrow_schema.names if name in ORDER]
        self.dimension = getattr(arrow_schema.field("vector").type, "list_size", None)
        self.info = _read_info(self.path, arrow_schema.metadata or {})

    def batches(self, dimension: int) -> Iterator[Batch]:
        """All rows, in order."""
        first = 0
        with _errors(self.path):
            for batch in self._file.iter_batches(rows_per_batch(dimension), columns=self._names):
                yield _batch(first, batch, dimension)
                first += len(batch)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    """Raise errors of pyarrow as ClipstackErrors."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        detail = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ClipstackError(
            f"{path}: not a complete Parquet file ({detail})",
            hint="Check that it was copied completely, or write it anew.",
        ) from error


def _read_info(path: str, metadata: Mapping[bytes, bytes]) -> CollectionInfo | None:
    text = metadata.get(METADATA.encode())
    return info_from_json(text.decode("utf-8", "replace"), path) if text is not None else None


def _check_columns(path: str, arrow_schema: Any) -> None:
    """Raise ClipstackError if a column is missing, duplicate, or of an unusable type."""
    for name in ORDER:
        count = arrow_schema.names.count(name)
        if count > 1 or (not count and name in REQUIRED):
            raise ClipstackError(
                f"{path}: has {'two columns' if count else 'no column'} {name!r}",
                hint=f"It has: {', '.join(arrow_schema.names)}. Rename what holds "
                "the pictures' paths to path and their vectors to vector.",
            )
        type = arrow_schema.field(name).type if count else None
        if count and not _is_usable(name, type):
            expected = "whole numbers"
            if name in (*TEXTS, "facts"):
                expected = "texts"
            elif name in ("vector", "tags"):
                expected = f"lists of {'texts' if name == 'tags' else 'floating-point numbers'}"
            raise ClipstackError(
                f"{path}: the column {name!r} must hold {expected}, not {type}",
                hint="Convert it, or leave it out: only path and vector are needed.",
            )


def _is_usable(name: str, type: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(type):
        type = type.value_type
    if types.is_null(type):
        return name not in REQUIRED
    is_list = types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type)
    if name == "vector":
        return bool(is_list and types.is_floating(type.value_type))
    if name == "tags":
        return bool(is_list) and _is_text(type.value_type)
    if name in INTEGERS:
        is_time = name.endswith(("_at", "_ns")) and types.is_timestamp(type)
        return bool(is_time or types.is_integer(type) or types.is_floating(type))
    return _is_text(type) or bool(types.is_binary(type) or types.is_large_binary(type))


def _is_text(type: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(type) or types.is_large_string(type) or types.is_string_view(type))


def _batch(first: int, batch: Any, dimension: int) -> Batch:
    problems: dict[int, RowProblem] = {}
    values: dict[str, Sequence[Any]] = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name == "vector":
            vectors = _read_vectors(array, dimension, problems)
        elif name in INTEGERS:
            values[name] = _read_integers(name, array, problems)
        elif name == "tags":
            values[name] = array.to_pylist()
        else:
            values[name] = _read_texts(name, array, problems)
    return Batch(first, values, vectors, problems)


def _read_texts(name: str, array: Any, problems: dict[int, RowProblem]) -> Sequence[str | None]:
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_text(array.type):
        with contextlib.suppress(UnicodeDecodeError):  # Arrow does not check what it reads
            texts: list[str | None] = array.to_pylist()
            return texts
    return validation.to_texts(name, array.cast(pa.large_binary()).to_pylist(), problems)


def _read_integers(name: str, array: Any, problems: dict[int, RowProblem]) -> Sequence[int | None]:
    import pyarrow as pa

    if pa.types.is_timestamp(array.type):
        unit = "ns" if name == "mtime_ns" else "s"
        array = array.cast(pa.timestamp(unit, array.type.tz), safe=False).cast(pa.int64())
    if not pa.types.is_floating(array.type):
        exact: list[int | None] = (
            array.to_pylist() if array.null_count else array.to_numpy().tolist()
        )
        return exact
    return validation.to_integers(name, array.to_pylist(), problems)


def _read_vectors(array: Any, dimension: int, problems: dict[int, RowProblem]) -> Matrix:
    """The vectors of a column of lists, float32 [rows, dimension]; not copied if all are valid."""
    import pyarrow as pa

    count = len(array)
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        starts = (np.arange(count, dtype=np.int64) + array.offset) * size
        lengths = np.full(count, size, np.int64)
    else:
        offsets = array.offsets.to_numpy().astype(np.int64)
        starts, lengths = offsets[:-1], np.diff(offsets)
    numbers = array.values.to_numpy(zero_copy_only=False)  # a number that is null becomes NaN
    present = array.is_valid().to_numpy(zero_copy_only=False)
    for number in np.flatnonzero(~present).tolist():
        problems[number] = RowProblem(validation.NO_VECTOR)
    for number in np.flatnonzero(present & (lengths != dimension)).tolist():
        detail = f"{lengths[number]} numbers, not {dimension}"
        problems[number] = RowProblem(validation.WRONG_DIMENSION, detail)
    usable = present & (lengths == dimension)
    with np.errstate(over="ignore"):  # found as not finite
        if usable.all() and count and (np.diff(starts) == dimension).all():
            block = numbers[starts[0] : starts[0] + count * dimension]
            matrix: Matrix = block.reshape(count, dimension).astype(np.float32, copy=False)
            return matrix
        vectors = np.zeros((count, dimension), np.float32)
        for number in np.flatnonzero(usable).tolist():
            vectors[number] = numbers[starts[number] : starts[number] + dimension]
    return vectors
