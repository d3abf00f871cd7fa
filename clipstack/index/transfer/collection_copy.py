"""Copies of collections to another target, or under another name.

Both collections return their rows by ascending id, so that they can be merged, and only rows that
differ are written. So a copy that was interrupted resumes when it is run again, and a complete one
changes nothing, without any saved progress and whatever happened to either side meanwhile.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from clipstack import interrupts
from clipstack.errors import ClipstackError, UsageError
from clipstack.events import Events
from clipstack.index.base import Collection, Index
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import compatibility
from clipstack.index.transfer.writer import BackgroundWriter, FlushTimer
from clipstack.retry import InterruptError, RetryPolicy
from clipstack.settings import Settings

_MAX_PASSES = 3
_compared_fields = attrgetter(
    *("path", "digest", "size", "mtime_ns", "width", "height", "format"),
    *("taken_at", "imported_at", "facts"),
)


@dataclass(slots=True)
class CopyResult:
    """The result of a copy.

    Attributes:
        source, target: the collections.
        created: whether the target's collection was created.
        new: number of rows that the target lacked; changed: of rows that differed there.
        unchanged: number of rows that were equal.
        missing: number of rows of the source that are not in the copy, because they were added
            meanwhile or are damaged.
        interrupted: whether Ctrl-C stopped it.
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
) -> CopyResult:
    """Copy every row of a collection; the copy is created if necessary, and nothing is encoded.

    Args:
        settings: of the target with the collection.
        target_settings: of the target to copy to.
        new_name: of the copy; "" for the same name.

    Raises:
        NotFoundError: there is no such collection.
        UsageError: it would be copied onto itself.
        ClipstackError: the other collection has another model or metric.
    """
    started = time.monotonic()
    retry_policy = RetryPolicy(
        settings.patience, events, hint="Run the same command again to go on."
    )
    with (
        interrupts.deferred(retry_policy.stop),
        connect(settings, retry_policy=retry_policy) as source_index,
        _connect_target(source_index, name, target_settings, retry_policy) as target_index,
    ):
        result = _open_collections(source_index, target_index, target_settings, name, new_name)
        source, target = (
            index.collection(info.name, patience=settings.patience, events=events)
            for index, info in ((source_index, result.source), (target_index, result.target))
        )
        with contextlib.suppress(InterruptError):
            _copy_all(source, target, result, retry_policy, events)
    result.interrupted = retry_policy.stop.is_set()
    result.seconds = time.monotonic() - started
    return result


@contextlib.contextmanager
def _connect_target(
    source: Index, name: str, settings: Settings, retry_policy: RetryPolicy
) -> Iterator[Index]:
    """Open the target's index; nothing is created there unless `source` has the collection."""
    source.info(name)
    with connect(settings, create=True, retry_policy=retry_policy) as index:
        yield index


def _open_collections(
    source: Index, target: Index, settings: Settings, name: str, new_name: str
) -> CopyResult:
    """An empty result with both collections; the target's is created if it does not exist."""
    info = source.info(name)
    existing = compatibility.find_collection(target, new_name or info.name)
    if existing is None:
        model = compatibility.NamedModel.from_info(info)
        created = compatibility.create_collection(
            target, settings, new_name or info.name, model, info.metric
        )
        return CopyResult(info, created, created=True)
    if source.location == target.location and existing.name == info.name:
        raise UsageError(
            f"{info.name} would be copied onto itself",
            hint="Name the copy with --as NAME, or another target with --to TARGET.",
        )
    compatibility.require_same_vectors(
        existing, compatibility.NamedModel.from_info(info), info.name
    )
    if existing.metric != info.metric:
        raise ClipstackError(
            f"collection {existing.name!r} compares by {existing.metric}, and {info.name} by "
            f"{info.metric}",
            hint="Name the copy with --as NAME.",
        )
    return CopyResult(info, existing, created=False)


def _copy_all(
    source: Collection,
    target: Collection,
    result: CopyResult,
    retry_policy: RetryPolicy,
    events: Events,
) -> None:
    """Copy until the copy has every row of the source, or another pass makes no difference."""
    total = source.count()
    events.set_total(total)
    for number in range(_MAX_PASSES):
        with BackgroundWriter() as writer:
            current_pass = _Pass(target, result, events, writer, is_first=number == 0)
            for rows in source.rows():
                current_pass.compare(rows)
                if retry_policy.stop.is_set():
                    break
            current_pass.flush()
        target.require_exists()
        if retry_policy.stop.is_set():
            return
        missing_before, result.missing = result.missing, max(0, source.count() - current_pass.rows)
        if result.missing in (0, missing_before):
            return
        total += result.missing
        events.set_total(total)


@dataclass(slots=True)
class _Changes:
    """Rows to write.

    Attributes:
        untagged: ids of changed rows that lose their tags.
        rows: number of rows of the source that were compared.
    """

    new: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    untagged: list[str] = field(default_factory=list)
    rows: int = 0


class _Pass:
    """One pass over both collections.

    Attributes:
        rows: number of rows of the source so far.
    """

    def __init__(
        self,
        target: Collection,
        result: CopyResult,
        events: Events,
        writer: BackgroundWriter,
        *,
        is_first: bool,
    ) -> None:
        self.rows = 0
        self._target = target
        self._result = result
        self._events = events
        self._writer = writer
        self._is_first = is_first
        self._target_rows = _SortedRows(target.rows())
        self._flush_timer = FlushTimer(result.source.dimension)
        self._changes = _Changes()

    def compare(self, rows: Sequence[Row]) -> None:
        """Compare rows of the source with the target's, and write those that differ, now or with
        later ones."""
        changes = self._changes
        for row in rows:
            existing = self._target_rows.find(row.id)
            if existing is None:
                changes.new.append(row)
            elif not _is_equal(row, existing):
                changes.changed.append(row)
                if "tags" in existing.facts and "tags" not in row.facts:
                    changes.untagged.append(row.id)
        self.rows += len(rows)
        changes.rows += len(rows)
        if self._flush_timer.is_due(len(changes.new) + len(changes.changed)):
            self.flush()

    def flush(self) -> None:
        """Write all pending rows."""
        changes, self._changes = self._changes, _Changes()
        self._writer.submit(partial(self._write, changes))
        self._flush_timer.restart()

    def _write(self, changes: _Changes) -> None:
        if changes.new:
            self._target.upsert(changes.new, new=True)
        if changes.changed:
            self._target.upsert(changes.changed)
        if changes.untagged:  # a row that is replaced keeps its tags
            self._target.set_tags(dict.fromkeys(changes.untagged, ()))
        new, changed = len(changes.new), len(changes.changed)
        self._result.new += new
        self._result.changed += changed
        if self._is_first:
            self._result.unchanged += changes.rows - new - changed
        self._events.advance(changes.rows if self._is_first else new)


class _SortedRows:
    """Rows by ascending id, looked up by ascending ids."""

    def __init__(self, batches: Iterator[list[Row]]) -> None:
        self._rows = (row for batch in batches for row in batch)
        self._next = next(self._rows, None)

    def find(self, id: str) -> Row | None:
        """The row with that id, or None; skips rows with lower ids."""
        while self._next is not None and self._next.id < id:
            self._next = next(self._rows, None)
        return self._next if self._next is not None and self._next.id == id else None


def _is_equal(row: Row, other: Row) -> bool:
    return (
        _compared_fields(row) == _compared_fields(other)
        and row.vector.tobytes() == other.vector.tobytes()
    )
