"""Exchange files by name: finding, opening, and creating them atomically."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, NotFoundError, UsageError

if TYPE_CHECKING:
    from clipstack.index.schema import CollectionInfo
    from clipstack.index.transfer.exchange_format import Sink, Source

PARQUET, NPZ = ".parquet", ".npz"


def check_suffix(path: str) -> str:
    """The suffix of an exchange file's name.

    Raises:
        UsageError: it is neither .parquet nor .npz.
        PrerequisiteError: the library for such files is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (PARQUET, NPZ):
        raise UsageError(
            f"{path}: is neither a {PARQUET} nor a {NPZ} file",
            hint=f"Name a file that ends in {PARQUET} or {NPZ}.",
        )
    if suffix == PARQUET:
        from clipstack.index.transfer import parquet

        parquet.check_installed()
    return suffix


def expand(patterns: Sequence[str]) -> list[str]:
    """The distinct files that names and globs stand for.

    Raises:
        NotFoundError: there is no such file.
        UsageError: a file has another suffix.
    """
    paths: list[str] = []
    for pattern in patterns:
        matches = [pattern]
        if glob.has_magic(pattern) and not os.path.lexists(pattern):
            matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        if not matches or not os.path.lexists(matches[0]):
            raise NotFoundError(f"there is no {pattern}", hint="Check the name of the file.")
        paths += matches
    for path in paths:
        check_suffix(path)
    return list(dict.fromkeys(paths))


def open_source(path: str) -> Source:
    """Open an exchange file for reading.

    Raises:
        ClipstackError: it can't be read, or is not an exchange file.
    """
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ClipstackError(f"{path}: can't be read ({error.strerror})") from None
    if check_suffix(path) == NPZ:
        from clipstack.index.transfer.npz_source import NpzSource

        return NpzSource(path)
    from clipstack.index.transfer.parquet import ParquetSource

    return ParquetSource(path)


@contextlib.contextmanager
def create(path: Path, info: CollectionInfo, rows: int) -> Iterator[Sink]:
    """Create an exchange file, or replace one, once it is complete.

    Args:
        rows: expected number of rows.

    Raises:
        ClipstackError: it can't be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with contextlib.closing(_open_sink(temporary, path, info, rows)) as sink:
            yield sink
            sink.finish()
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ClipstackError(
            f"{path}: can't be written ({error.strerror or error})",
            hint="Nothing was left behind. Make room, or choose another place.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _open_sink(temporary: Path, path: Path, info: CollectionInfo, rows: int) -> Sink:
    if check_suffix(str(path)) == NPZ:
        from clipstack.index.transfer.npz_sink import NpzSink

        return NpzSink(temporary, info, rows)
    from clipstack.index.transfer.parquet import ParquetSink

    return ParquetSink(temporary, info)
