"""A collection's rows, copied to another target, or under another name.

Both collections give their rows by ascending id, so that they are compared side by side, and only
what differs is written. So a copy that was cut off goes on when it is run again, and one that is
finished changes nothing, whatever happened to either side meanwhile; nothing has to be remembered.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from clipstack.errors import ClipstackError, UsageError
from clipstack.index.base import Collection, Index
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import compatibility
from clipstack.index.transfer.events import Events
from clipstack.index.transfer.writer import Pace, Writer
from clipstack.retry import InterruptError, RetryPolicy, deferred_sigint
from clipstack.settings import Settings

_MOST_PASSES = 3
_fields = attrgetter(
    *("path", "digest", "size", "mtime_ns", "width", "height", "format"),
    *("taken_at", "imported_at", "facts"),
)


@dataclass(slots=True)
class Copied:
    """What a copy did.

    Attributes:
        source, target: the collections.
        created: the target's collection was made.
        new: rows that were not there; changed: rows that were there, but differed.
        unchanged: rows that were there as they are.
        missing: rows of the source that are not in the copy: they were added meanwhile, or are
            damaged.
        interrupted: stopped by Ctrl-C.
    """

    source: CollectionInfo
    target: CollectionInfo
    created: bool
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    seconds: float = 0.0
    interrupted: bool = False


def copy(
    settings: Settings, target_settings: Settings, name: str, new_name: str, events: Events
) -> Copied:
    """Copy every row of a collection, made there when it does not exist; nothing is encoded.

    Args:
        settings: of the target that has the collection.
        target_settings: of the target to copy to.
        new_name: of the copy; "" for the same name.

    Raises:
        NotFoundError: there is no such collection.
        UsageError: it would be copied onto itself.
        ClipstackError: the other collection has another model or metric.
    """
    started = time.monotonic()
    patience = RetryPolicy(settings.patience, events, hint="Run the same command again to go on.")
    with (
        deferred_sigint(patience.stop),
        connect(settings, patience=patience) as source_index,
        _connected_beside(source_index, name, target_settings, patience) as target_index,
    ):
        copied = _begun(source_index, target_index, target_settings, name, new_name)
        source, target = (
            index.collection(info.name, patience=settings.patience, note=events.note)
            for index, info in ((source_index, copied.source), (target_index, copied.target))
        )
        with contextlib.suppress(InterruptError):
            _copy_all(source, target, copied, patience, events)
    copied.interrupted = patience.stop.is_set()
    copied.seconds = time.monotonic() - started
    return copied


@contextlib.contextmanager
def _connected_beside(
    source: Index, name: str, settings: Settings, patience: RetryPolicy
) -> Iterator[Index]:
    """The target's index; nothing is made there unless `source` has a collection `name`."""
    source.info(name)
    with connect(settings, create=True, patience=patience) as index:
        yield index


def _begun(source: Index, target: Index, settings: Settings, name: str, new_name: str) -> Copied:
    """The two collections; the target's is made when it does not exist."""
    info = source.info(name)
    there = compatibility.existing(target, new_name or info.name)
    if there is None:
        model = compatibility.NamedModel.of(info)
        created = compatibility.created(target, settings, new_name or info.name, model, info.metric)
        return Copied(info, created, created=True)
    if source.where == target.where and there.name == info.name:
        raise UsageError(
            f"{info.name} would be copied onto itself",
            hint="Name the copy with --as NAME, or another target with --to TARGET.",
        )
    compatibility.require_same_vectors(there, compatibility.NamedModel.of(info), info.name)
    if there.metric != info.metric:
        raise ClipstackError(
            f"collection {there.name!r} compares by {there.metric}, and {info.name} by "
            f"{info.metric}",
            hint="Name the copy with --as NAME.",
        )
    return Copied(info, there, created=False)


def _copy_all(
    source: Collection, target: Collection, copied: Copied, patience: RetryPolicy, events: Events
) -> None:
    """Copy until no row of the source is missing in the copy, or another pass changes nothing."""
    events.total = source.count()
    for number in range(_MOST_PASSES):
        with Writer() as writer:
            run = _Pass(target, copied, events, writer, is_first=number == 0)
            for rows in source.rows():
                run.take(rows)
                if patience.stop.is_set():
                    break
            run.flush()
        if patience.stop.is_set():
            return
        before, copied.missing = copied.missing, max(0, source.count() - run.rows)
        if copied.missing in (0, before):
            return
        events.total += copied.missing


@dataclass(slots=True)
class _Changes:
    """What is to be written.

    Attributes:
        untagged: ids of changed rows whose tags go.
        rows: of the source that were compared.
    """

    new: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    untagged: list[str] = field(default_factory=list)
    rows: int = 0


class _Pass:
    """One way through both collections.

    Attributes:
        rows: of the source, so far.
    """

    def __init__(
        self, target: Collection, copied: Copied, events: Events, writer: Writer, *, is_first: bool
    ) -> None:
        self.rows = 0
        self._target = target
        self._copied = copied
        self._events = events
        self._writer = writer
        self._is_first = is_first
        self._there = _Lookup(target.rows())
        self._pace = Pace(copied.source.dimension)
        self._changes = _Changes()

    def take(self, rows: Sequence[Row]) -> None:
        """Compare rows of the source with the target's, and have those that differ written, now
        or with the next ones."""
        changes = self._changes
        for row in rows:
            there = self._there.find(row.id)
            if there is None:
                changes.new.append(row)
            elif not _is_same(row, there):
                changes.changed.append(row)
                if "tags" in there.facts and "tags" not in row.facts:
                    changes.untagged.append(row.id)
        self.rows += len(rows)
        changes.rows += len(rows)
        if self._pace.is_due(len(changes.new) + len(changes.changed)):
            self.flush()

    def flush(self) -> None:
        """Have all that waits written."""
        changes, self._changes = self._changes, _Changes()
        self._writer.submit(partial(self._write, changes))
        self._pace.written()

    def _write(self, changes: _Changes) -> None:
        if changes.new:
            self._target.upsert(changes.new, new=True)
        if changes.changed:
            self._target.upsert(changes.changed)
        if changes.untagged:  # a row that is replaced keeps its tags
            self._target.set_tags(dict.fromkeys(changes.untagged, ()))
        new, changed = len(changes.new), len(changes.changed)
        self._copied.new += new
        self._copied.changed += changed
        if self._is_first:
            self._copied.unchanged += changes.rows - new - changed
        self._events.done(changes.rows if self._is_first else new)


class _Lookup:
    """Rows by ascending id, found by ids that ascend too."""

    def __init__(self, batches: Iterator[list[Row]]) -> None:
        self._rows = (row for batch in batches for row in batch)
        self._next = next(self._rows, None)

    def find(self, id: str) -> Row | None:
        """The row with that id; those before it are let go."""
        while self._next is not None and self._next.id < id:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next.id == id else None


def _is_same(row: Row, other: Row) -> bool:
    return _fields(row) == _fields(other) and row.vector.tobytes() == other.vector.tobytes()
