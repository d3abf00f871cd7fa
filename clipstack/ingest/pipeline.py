"""An import: files are scanned, decoded, encoded and written as rows, side by side.

Decoding runs in threads, encoding in the caller's, writing in one more. Every queue is bounded,
so memory does not grow with the number of files. What is written stays written: an import that
is killed goes on where it was when it is started again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from clipstack.encoders.base import Encoder, ModelInfo
from clipstack.errors import ClipstackError, ImageError
from clipstack.images.scan import ImageFile
from clipstack.index.base import Collection, Known
from clipstack.index.schema import Row, row_id
from clipstack.ingest.writer import Writer
from clipstack.retry import InterruptError, Waiting, deferred_sigint

if TYPE_CHECKING:
    from clipstack.images.decode import Limits, Picture
    from clipstack.index.schema import Vector

_LOOKUP = 500
_REMEMBERED = 4096


Found: TypeAlias = ImageFile | ImageError
"""What a scan finds: a file, or why one can't be had."""


class Outcome(StrEnum):
    """What became of one file."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"


@dataclass(slots=True)
class Summary:
    """What an import did.

    Attributes:
        counts: files by outcome, only those whose rows are safely written.
        failures: every file that could not be read, with its reason.
        encoded: pictures that went through the model; the rest of the new and changed ones are
            byte-identical to others.
        seconds: wall time.
        interrupted: stopped by Ctrl-C; stopped: ended at the first failure because asked to.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    failures: list[ImageError] = field(default_factory=list)
    encoded: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: bool = False


class Events(Waiting, Protocol):
    """Who wants to know how far an import is, and what it waits for."""

    def done(self, outcome: Outcome, count: int) -> None:
        """`count` more files ended as `outcome`."""
        ...


class Candidate(NamedTuple):
    """A file that is new, or not as the collection knows it."""

    file: ImageFile
    id: str
    known: Known | None


class Prepared(NamedTuple):
    """A file that was read and decoded."""

    candidate: Candidate
    digest: str
    picture: Picture

    @property
    def outcome(self) -> Outcome:
        known = self.candidate.known
        if known is None:
            return Outcome.NEW
        return Outcome.UNCHANGED if known.digest == self.digest else Outcome.CHANGED


def plan(files: Iterable[Found], collection: Collection | None, events: Events) -> Summary:
    """What an import would do, from names, sizes and times alone; nothing is decoded or written.

    Args:
        collection: None when it does not exist yet.
    """
    started = time.monotonic()
    summary = Summary()
    for item in _compare(files, collection):
        if isinstance(item, int):
            _count(summary, events, Outcome.UNCHANGED, item)
        elif isinstance(item, ImageError):
            summary.failures.append(item)
            _count(summary, events, Outcome.FAILED, 1)
        else:
            _count(summary, events, Outcome.CHANGED if item.known else Outcome.NEW, 1)
    summary.seconds = time.monotonic() - started
    return summary


def ingest(
    files: Iterable[Found],
    collection: Collection,
    model: ModelInfo,
    load: Callable[[], Encoder],
    *,
    batch_size: int,
    limits: Limits,
    events: Events,
    fail_fast: bool = False,
    interrupt: threading.Event | None = None,
) -> Summary:
    """Bring every picture of `files` into `collection`, once.

    A file whose path, size and time are known costs nothing more; one whose bytes are known under
    any path costs no encoding. Ctrl-C writes what is encoded and returns with `interrupted` set.

    Args:
        load: loads the encoder; called at most once, and only if something must be encoded.
        batch_size: pictures encoded at once.
        interrupt: set by Ctrl-C, for those who wait for something.

    Raises:
        ClipstackError: the encoder or the index failed; what was written before stays.
    """
    started = time.monotonic()
    interrupt = interrupt or threading.Event()
    with deferred_sigint(interrupt):
        run = _Run(collection, model, load, batch_size, limits, events, fail_fast, interrupt)
        try:
            with contextlib.suppress(InterruptError):
                run.run(files)
        except BaseException:
            with contextlib.suppress(ClipstackError):  # what failed first is what matters
                run.close()
            raise
        with contextlib.suppress(InterruptError):
            run.close()
    run.summary.interrupted = interrupt.is_set()
    run.summary.seconds = time.monotonic() - started
    return run.summary


def _compare(
    files: Iterable[Found], collection: Collection | None
) -> Iterator[int | Candidate | ImageError]:
    """Tell which files are new or seem changed: candidates, errors, and numbers of files that are
    as the collection knows them."""
    rest = iter(files)
    while chunk := list(islice(rest, _LOOKUP)):
        ids = [row_id(item.path) if isinstance(item, ImageFile) else "" for item in chunk]
        known = collection.known([id for id in ids if id]) if collection else {}
        unchanged = 0
        items: list[Candidate | ImageError] = []
        for id, file in zip(ids, chunk, strict=True):
            if isinstance(file, ImageError):
                items.append(file)
                continue
            before = known.get(id)
            if before and before.size == file.size and before.mtime_ns == file.mtime_ns:
                unchanged += 1
            else:
                items.append(Candidate(file, id, before))
        if unchanged:
            yield unchanged
        yield from items


def _count(summary: Summary, events: Events, outcome: Outcome, count: int) -> None:
    summary.counts[outcome] += count
    events.done(outcome, count)


class _Run:
    """One import: the stages and what flows between them."""

    def __init__(
        self,
        collection: Collection,
        model: ModelInfo,
        load: Callable[[], Encoder],
        batch_size: int,
        limits: Limits,
        events: Events,
        fail_fast: bool,
        interrupt: threading.Event,
    ) -> None:
        self.summary = Summary()
        self._interrupt = interrupt
        self._collection = collection
        self._model = model
        self._load = load
        self._batch_size = batch_size
        self._limits = limits
        self._events = events
        self._fail_fast = fail_fast
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._writer: Writer[Counter[Outcome]] = Writer(collection)
        self._encoder: Future[Encoder] | None = None
        self._waiting: OrderedDict[str, list[Prepared]] = OrderedDict()
        self._remembered: OrderedDict[str, Vector] = OrderedDict()
        self._began_empty: bool | None = None

    def run(self, files: Iterable[Found]) -> None:
        prepared = self._prepared(self._candidates(files))
        while group := list(islice(prepared, self._batch_size)):
            self._reuse_or_queue(group)
            while len(self._waiting) >= self._batch_size and not self._interrupt.is_set():
                self._encode_batch()
        while self._waiting and not self._interrupt.is_set():
            self._encode_batch()

    def close(self) -> None:
        """Stop the stages; what is on its way to the index still arrives."""
        self._decoders.shutdown(wait=True, cancel_futures=True)
        try:
            self._count_written(self._writer.settled(0))
        finally:
            self._writer.close()
            self._loader.shutdown()
            self._close_encoder()

    def _close_encoder(self) -> None:
        """Let go of the connections of a service."""
        if self._encoder and not self._encoder.cancelled() and not self._encoder.exception():
            close = getattr(self._encoder.result(), "close", None)
            if close:
                close()

    def _candidates(self, files: Iterable[Found]) -> Iterator[Candidate]:
        for item in _compare(files, self._collection):
            if isinstance(item, int):
                _count(self.summary, self._events, Outcome.UNCHANGED, item)
            elif isinstance(item, ImageError):
                self._fail(item)
                if self.summary.stopped:
                    return
            else:
                yield item
            if self._interrupt.is_set():
                return

    def _prepared(self, candidates: Iterator[Candidate]) -> Iterator[Prepared]:
        """Decode ahead of the encoder by two batches, keeping the order."""
        ahead: deque[Future[Prepared]] = deque()
        while True:
            for candidate in islice(candidates, 2 * self._batch_size - len(ahead)):
                self._start_loading()
                ahead.append(self._decoders.submit(self._prepare, candidate))
            if not ahead or self._interrupt.is_set():
                return
            try:
                yield ahead.popleft().result()
            except ImageError as error:
                self._fail(error)
                if self.summary.stopped:
                    return

    def _start_loading(self) -> None:
        if self._encoder is None:
            self._encoder = self._loader.submit(self._load)

    def _prepare(self, candidate: Candidate) -> Prepared:
        from clipstack.images.decode import decode, read_file

        path = candidate.file.path
        data = read_file(path, self._limits)
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        return Prepared(
            candidate, digest, decode(data, self._model.geometry, self._limits, path=path)
        )

    def _fail(self, error: ImageError) -> None:
        self.summary.failures.append(error)
        self.summary.stopped = self.summary.stopped or self._fail_fast
        _count(self.summary, self._events, Outcome.FAILED, 1)

    def _reuse_or_queue(self, group: Sequence[Prepared]) -> None:
        """Write at once what has a vector already; queue the rest by digest for the encoder."""
        unseen = {p.digest for p in group} - self._remembered.keys() - self._waiting.keys()
        if self._began_empty is None:
            self._began_empty = self._collection.is_empty()
        # What this import wrote into an empty collection it remembers. What another import writes
        # there meanwhile may be encoded once more; the vectors are the same.
        if self._began_empty and len(self._remembered) < _REMEMBERED:
            unseen = set()
        for digest, vector in self._collection.vectors_by_digest(unseen).items():
            self._remember(digest, vector)
        ready: list[tuple[Prepared, Vector]] = []
        for item in group:
            if item.digest in self._remembered:
                ready.append((item, self._remembered[item.digest]))
            else:
                self._waiting.setdefault(item.digest, []).append(item)
        self._write(ready)

    def _encode_batch(self) -> None:
        import numpy as np

        assert self._encoder is not None
        encoder = self._encoder.result()
        batch = list(islice(self._waiting.items(), self._batch_size))
        vectors = encoder.encode_images(np.stack([same[0].picture.pixels for _, same in batch]))
        self.summary.encoded += len(batch)
        rows: list[tuple[Prepared, Vector]] = []
        for (digest, same), vector in zip(batch, vectors, strict=True):
            self._remember(digest, vector)
            rows += [(item, vector) for item in same]
            del self._waiting[digest]
        self._write(rows)

    def _remember(self, digest: str, vector: Vector) -> None:
        self._remembered[digest] = vector
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)

    def _write(self, items: Sequence[tuple[Prepared, Vector]]) -> None:
        if not items:
            return
        now = int(time.time())
        new = [_row(*item, now) for item in items if item[0].candidate.known is None]
        old = [_row(*item, now) for item in items if item[0].candidate.known is not None]
        outcomes = Counter(item.outcome for item, _ in items)
        self._writer.write(new, old, outcomes)
        self._count_written(self._writer.settled())

    def _count_written(self, written: Iterable[Counter[Outcome]]) -> None:
        for outcomes in written:
            for outcome, count in outcomes.items():
                _count(self.summary, self._events, outcome, count)


def _row(item: Prepared, vector: Vector, now: int) -> Row:
    file, picture = item.candidate.file, item.picture
    return Row(
        id=item.candidate.id,
        path=file.path,
        digest=item.digest,
        size=file.size,
        mtime_ns=file.mtime_ns,
        width=picture.width,
        height=picture.height,
        format=picture.format,
        taken_at=picture.taken_at,
        imported_at=now,
        vector=vector,
        facts=dict(picture.facts),
    )
