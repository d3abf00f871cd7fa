"""A collection's rows, written to a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import NotFoundError, UsageError
from clipstack.index.base import Collection
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import exchange_files
from clipstack.index.transfer.events import Events
from clipstack.index.transfer.exchange_format import rows_at_once
from clipstack.retry import InterruptError, RetryPolicy, deferred_sigint
from clipstack.settings import Settings


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        bytes: the size of the file.
        seconds: it took.
    """

    info: CollectionInfo
    file: str
    rows: int
    bytes: int
    seconds: float


def check(file: str) -> None:
    """Whether a collection can be exported to `file`.

    Raises:
        UsageError: it has another ending than those there are, or is a folder.
        NotFoundError: there is no such folder to write it to.
        PrerequisiteError: what writes such files is not installed.
    """
    exchange_files.check_kind(file)
    folder = Path(file).absolute().parent
    if Path(file).is_dir():
        raise UsageError(f"{file}: is a folder", hint="Name a file in it.")
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", hint=f"Make it: mkdir -p {folder}")


def export(settings: Settings, name: str, file: str, events: Events) -> Exported:
    """Write every row of a collection to `file`, in place of what is there.

    Raises:
        NotFoundError: there is no such collection.
        ClipstackError: the file can't be written; what was there stays.
        Interrupted: by Ctrl-C; what was there stays.
    """
    started = time.monotonic()
    patience = RetryPolicy(settings.patience, events)
    with deferred_sigint(patience.stop), connect(settings, patience=patience) as index:
        collection = index.collection(name, patience=settings.patience, note=events.note)
        info = collection.info
        events.total = collection.count()
        path = Path(file).absolute()
        rows = 0
        with exchange_files.written(path, info, events.total) as sink:
            for group in _groups(collection, rows_at_once(info.dimension)):
                if patience.stop.is_set():
                    raise InterruptError
                sink.write(group)
                rows += len(group)
                events.done(len(group))
        size = os.stat(path).st_size  # noqa: PTH116
    return Exported(info, file, rows, size, time.monotonic() - started)


def _groups(collection: Collection, size: int) -> Iterator[list[Row]]:
    """The rows, by ascending id, `size` at once."""
    group: list[Row] = []
    for rows in collection.rows():
        group += rows
        while len(group) >= size:
            yield group[:size]
            del group[:size]
    if group:
        yield group
