"""Exchange files by name: found, opened, and written so that there is never half of one."""

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


def check_kind(path: str) -> str:
    """The ending of an exchange file's name.

    Raises:
        UsageError: it has another one.
        PrerequisiteError: what reads and writes such files is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in (PARQUET, NPZ):
        raise UsageError(
            f"{path}: is neither a {PARQUET} nor a {NPZ} file",
            hint=f"Name a file that ends in {PARQUET} or {NPZ}.",
        )
    if ending == PARQUET:
        from clipstack.index.transfer import parquet

        parquet.check_installed()
    return ending


def expand(patterns: Sequence[str]) -> list[str]:
    """The files that names and globs stand for, each once.

    Raises:
        NotFoundError: there is no such file.
        UsageError: one is no exchange file.
    """
    paths: list[str] = []
    for pattern in patterns:
        named = [pattern]
        if glob.has_magic(pattern) and not os.path.lexists(pattern):
            named = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        if not named or not os.path.lexists(named[0]):
            raise NotFoundError(f"there is no {pattern}", hint="Check the name of the file.")
        paths += named
    for path in paths:
        check_kind(path)
    return list(dict.fromkeys(paths))


def open_source(path: str) -> Source:
    """An exchange file, open for reading.

    Raises:
        ClipstackError: it can't be read, or is none.
    """
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ClipstackError(f"{path}: can't be read ({error.strerror})") from None
    if check_kind(path) == NPZ:
        from clipstack.index.transfer.npz_reading import NpzSource

        return NpzSource(path)
    from clipstack.index.transfer.parquet import ParquetSource

    return ParquetSource(path)


@contextlib.contextmanager
def written(path: Path, info: CollectionInfo, rows: int) -> Iterator[Sink]:
    """An exchange file that appears under its name once it is whole, in place of what was there.

    Args:
        rows: about how many there will be.

    Raises:
        ClipstackError: it can't be written; nothing is left behind.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with contextlib.closing(_open_sink(fresh, path, info, rows)) as sink:
            yield sink
            sink.finish()
        with fresh.open("r+b") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ClipstackError(
            f"{path}: can't be written ({error.strerror or error})",
            hint="Nothing was left behind. Make room, or choose another place.",
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def _open_sink(fresh: Path, path: Path, info: CollectionInfo, rows: int) -> Sink:
    if check_kind(str(path)) == NPZ:
        from clipstack.index.transfer.npz_writing import NpzSink

        return NpzSink(fresh, info, rows)
    from clipstack.index.transfer.parquet import ParquetSink

    return ParquetSink(fresh, info)
