"""The stages of an import, in parallel: files are decoded, encoded and written as rows.

Decoding runs in a pool of threads, encoding in the caller's thread, writing in another one. Every
queue is bounded, so memory does not grow with the number of files. What is written stays written:
an import that was killed resumes when it is started again.
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
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from clipstack import interrupts
from clipstack.encoders.base import Encoder, ModelInfo
from clipstack.errors import ClipstackError, ImageError
from clipstack.events import Events
from clipstack.images.scan import ImageFile
from clipstack.index.base import Collection, FileSignature
from clipstack.index.schema import Row, row_id
from clipstack.ingest.writer import Writer
from clipstack.retry import InterruptError

if TYPE_CHECKING:
    from clipstack.images.decode import Limits, Picture
    from clipstack.index.schema import Vector

_FILES_PER_LOOKUP = 500
_CACHED_VECTORS = 4096

Scanned: TypeAlias = ImageFile | ImageError
"""A file that a scan found, or why it can't be used."""


class Outcome(StrEnum):
    """What became of one file."""

    NEW = "new"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"


@dataclass(slots=True)
class ImportSummary:
    """The result of an import.

    Attributes:
        counts: files by outcome; new and changed ones count once their rows are written.
        failures: the files that could not be read, with the reasons.
        encoded: pictures that went through the model; the other new and changed ones have the
            same bytes as one of these or of the collection.
        seconds: wall time.
        interrupted: stopped by Ctrl-C; stopped: ended at the first failure, as requested.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    failures: list[ImageError] = field(default_factory=list)
    encoded: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: bool = False


class Candidate(NamedTuple):
    """A file to read: it is new, or its size or time differ from those in the collection.

    Attributes:
        stored: what the collection has of the file, None if it is new.
    """

    file: ImageFile
    id: str
    stored: FileSignature | None


class DecodedFile(NamedTuple):
    """A decoded file.

    Attributes:
        digest: BLAKE2b of its bytes, 32 hexadecimal digits.
    """

    candidate: Candidate
    digest: str
    picture: Picture

    @property
    def outcome(self) -> Outcome:
        """What becomes of the file once it is written."""
        stored = self.candidate.stored
        if stored is None:
            return Outcome.NEW
        return Outcome.UNCHANGED if stored.digest == self.digest else Outcome.CHANGED


def plan(files: Iterable[Scanned], collection: Collection | None, events: Events) -> ImportSummary:
    """Predict what an import would do, from paths, sizes and times alone.

    Args:
        collection: None if it does not exist yet.
    """
    started = time.monotonic()
    summary = ImportSummary()
    for item in _compare(files, collection):
        if isinstance(item, int):
            _count(summary, events, Outcome.UNCHANGED, item)
        elif isinstance(item, ImageError):
            summary.failures.append(item)
            _count(summary, events, Outcome.FAILED, 1)
        else:
            _count(summary, events, Outcome.CHANGED if item.stored else Outcome.NEW, 1)
    summary.seconds = time.monotonic() - started
    return summary


def ingest(
    files: Iterable[Scanned],
    collection: Collection,
    model: ModelInfo,
    load: Callable[[], Encoder],
    *,
    batch_size: int,
    limits: Limits,
    events: Events,
    fail_fast: bool = False,
    interrupt: threading.Event | None = None,
) -> ImportSummary:
    """Import `files` into `collection`.

    A file whose path, size and time are those in the collection is not read; one whose bytes are
    in the collection under any path is not encoded. Ctrl-C writes what is encoded and returns
    with `interrupted` set.

    Args:
        load: loads the encoder; called at most once, and only if there are files to read.
        batch_size: pictures encoded at once.
        events: reports the outcome of each file.
        fail_fast: end at the first file that can't be read.
        interrupt: set by Ctrl-C; ends waits elsewhere.

    Raises:
        ClipstackError: the encoder or the index failed; what was written before stays.
    """
    started = time.monotonic()
    interrupt = interrupt or threading.Event()
    with interrupts.deferred(interrupt):
        run = _ImportRun(collection, model, load, batch_size, limits, events, fail_fast, interrupt)
        try:
            with contextlib.suppress(InterruptError):
                run.run(files)
        except BaseException:
            with contextlib.suppress(ClipstackError):  # the first failure is the one to raise
                run.close()
            raise
        with contextlib.suppress(InterruptError):
            run.close()
    run.summary.interrupted = interrupt.is_set()
    run.summary.seconds = time.monotonic() - started
    return run.summary


def _compare(
    files: Iterable[Scanned], collection: Collection | None
) -> Iterator[int | Candidate | ImageError]:
    """Sort out files to read: yields candidates, errors, and counts of unchanged files."""
    remaining = iter(files)
    while chunk := list(islice(remaining, _FILES_PER_LOOKUP)):
        ids = [row_id(item.path) if isinstance(item, ImageFile) else "" for item in chunk]
        stored = collection.file_signatures([id for id in ids if id]) if collection else {}
        unchanged = 0
        items: list[Candidate | ImageError] = []
        for id, file in zip(ids, chunk, strict=True):
            if isinstance(file, ImageError):
                items.append(file)
                continue
            signature = stored.get(id)
            if signature and (signature.size, signature.mtime_ns) == (file.size, file.mtime_ns):
                unchanged += 1
            else:
                items.append(Candidate(file, id, signature))
        if unchanged:
            yield unchanged
        yield from items


def _count(summary: ImportSummary, events: Events, outcome: Outcome, count: int) -> None:
    summary.counts[outcome] += count
    events.advance(count, outcome)


class _ImportRun:
    """The stages of one import, and what flows between them."""

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
        self.summary = ImportSummary()
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
        self._queued: OrderedDict[str, list[DecodedFile]] = OrderedDict()
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._was_empty: bool | None = None

    def run(self, files: Iterable[Scanned]) -> None:
        decoded = self._decoded(self._candidates(files))
        while batch := list(islice(decoded, self._batch_size)):
            self._reuse_or_queue(batch)
            while len(self._queued) >= self._batch_size and not self._interrupt.is_set():
                self._encode_batch()
        while self._queued and not self._interrupt.is_set():
            self._encode_batch()

    def close(self) -> None:
        """Stop the stages, once the rows on their way to the index are written."""
        self._decoders.shutdown(wait=True, cancel_futures=True)
        try:
            self._count_written(self._writer.settled(0))
            self._collection.require_exists()
        finally:
            self._writer.close()
            self._loader.shutdown()
            self._close_encoder()

    def _close_encoder(self) -> None:
        """Close the connections of a remote encoder."""
        if self._encoder and not self._encoder.cancelled() and not self._encoder.exception():
            close = getattr(self._encoder.result(), "close", None)
            if close:
                close()

    def _candidates(self, files: Iterable[Scanned]) -> Iterator[Candidate]:
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

    def _decoded(self, candidates: Iterator[Candidate]) -> Iterator[DecodedFile]:
        """Decode up to two batches ahead of the encoder, in order."""
        ahead: deque[Future[DecodedFile]] = deque()
        while True:
            for candidate in islice(candidates, 2 * self._batch_size - len(ahead)):
                self._start_loading()
                ahead.append(self._decoders.submit(self._decode, candidate))
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

    def _decode(self, candidate: Candidate) -> DecodedFile:
        from clipstack.images.decode import decode, read_file

        path = candidate.file.path
        data = read_file(path, self._limits)
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        return DecodedFile(
            candidate, digest, decode(data, self._model.geometry, self._limits, path=path)
        )

    def _fail(self, error: ImageError) -> None:
        self.summary.failures.append(error)
        self.summary.stopped = self.summary.stopped or self._fail_fast
        _count(self.summary, self._events, Outcome.FAILED, 1)

    def _reuse_or_queue(self, files: Sequence[DecodedFile]) -> None:
        """Write the files whose vectors exist already; queue the others, by digest, for the
        encoder."""
        unseen = {file.digest for file in files} - self._vectors.keys() - self._queued.keys()
        if self._was_empty is None:
            self._was_empty = self._collection.is_empty()
        # This import caches all that it wrote into an empty collection. What another import writes
        # there meanwhile may be encoded once more; the vectors are the same.
        if self._was_empty and len(self._vectors) < _CACHED_VECTORS:
            unseen = set()
        for digest, vector in self._collection.vectors_by_digest(unseen).items():
            self._cache_vector(digest, vector)
        ready: list[tuple[DecodedFile, Vector]] = []
        for file in files:
            if file.digest in self._vectors:
                ready.append((file, self._vectors[file.digest]))
            else:
                self._queued.setdefault(file.digest, []).append(file)
        self._write(ready)

    def _encode_batch(self) -> None:
        import numpy as np

        assert self._encoder is not None
        encoder = self._encoder.result()
        batch = list(islice(self._queued.items(), self._batch_size))
        vectors = encoder.encode_images(np.stack([files[0].picture.pixels for _, files in batch]))
        self.summary.encoded += len(batch)
        rows: list[tuple[DecodedFile, Vector]] = []
        for (digest, files), vector in zip(batch, vectors, strict=True):
            self._cache_vector(digest, vector)
            rows += [(file, vector) for file in files]
            del self._queued[digest]
        self._write(rows)

    def _cache_vector(self, digest: str, vector: Vector) -> None:
        self._vectors[digest] = vector
        if len(self._vectors) > _CACHED_VECTORS:
            self._vectors.popitem(last=False)

    def _write(self, items: Sequence[tuple[DecodedFile, Vector]]) -> None:
        if not items:
            return
        now = int(time.time())
        new = [_row(*item, now) for item in items if item[0].candidate.stored is None]
        replaced = [_row(*item, now) for item in items if item[0].candidate.stored is not None]
        outcomes = Counter(file.outcome for file, _ in items)
        self._writer.write(new, replaced, outcomes)
        self._count_written(self._writer.settled())

    def _count_written(self, written: Iterable[Counter[Outcome]]) -> None:
        for outcomes in written:
            for outcome, count in outcomes.items():
                _count(self.summary, self._events, outcome, count)


def _row(decoded: DecodedFile, vector: Vector, now: int) -> Row:
    file, picture = decoded.candidate.file, decoded.picture
    return Row(
        id=decoded.candidate.id,
        path=file.path,
        digest=decoded.digest,
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
