"""Export of a collection's rows to a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipstack import interrupts
from clipstack.errors import NotFoundError, UsageError
from clipstack.events import Events
from clipstack.index.base import Collection
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import exchange_files
from clipstack.index.transfer.exchange_format import rows_per_batch
from clipstack.retry import InterruptError, RetryPolicy
from clipstack.settings import Settings


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export.

    Attributes:
        bytes: size of the file.
        seconds: duration of the export.
    """

    info: CollectionInfo
    file: str
    rows: int
    bytes: int
    seconds: float


def check(file: str) -> None:
    """Check that a collection can be exported to `file`.

    Raises:
        UsageError: it has an unknown suffix, or is a folder.
        NotFoundError: its folder does not exist.
        PrerequisiteError: the library for such files is not installed.
    """
    exchange_files.check_suffix(file)
    folder = Path(file).absolute().parent
    if Path(file).is_dir():
        raise UsageError(f"{file}: is a folder", hint="Name a file in it.")
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint=f"Make it: mkdir -p {folder}")


def export(settings: Settings, name: str, file: str, events: Events) -> ExportResult:
    """Write every row of a collection to `file`, replacing an existing one.

    Raises:
        NotFoundError: there is no such collection.
        ClipstackError: the file can't be written; an existing one stays.
        InterruptError: by Ctrl-C; an existing file stays.
    """
    started = time.monotonic()
    retry_policy = RetryPolicy(settings.patience, events)
    with (
        interrupts.deferred(retry_policy.stop),
        connect(settings, retry_policy=retry_policy) as index,
    ):
        collection = index.collection(name, patience=settings.patience, events=events)
        info = collection.info
        total = collection.count()
        events.set_total(total)
        path = Path(file).absolute()
        rows = 0
        with exchange_files.create(path, info, total) as sink:
            for batch in _batches(collection, rows_per_batch(info.dimension)):
                if retry_policy.stop.is_set():
                    raise InterruptError
                sink.write(batch)
                rows += len(batch)
                events.advance(len(batch))
        size = os.stat(path).st_size  # noqa: PTH116
    return ExportResult(info, file, rows, size, time.monotonic() - started)


def _batches(collection: Collection, size: int) -> Iterator[list[Row]]:
    """The rows by ascending id, in batches of `size`."""
    batch: list[Row] = []
    for rows in collection.rows():
        batch += rows
        while len(batch) >= size:
            yield batch[:size]
            del batch[:size]
    if batch:
        yield batch
