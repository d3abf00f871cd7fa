"""Exchange files, read into a collection."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, UsageError
from clipstack.index.base import Collection, Index
from clipstack.index.connect import connect
from clipstack.index.naming import check_name
from clipstack.index.schema import CollectionInfo, Model, Row
from clipstack.index.transfer import compatibility, exchange_files
from clipstack.index.transfer.events import Events
from clipstack.index.transfer.validation import Checker
from clipstack.index.transfer.writer import Pace, Writer
from clipstack.retry import InterruptError, RetryPolicy, deferred_sigint
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.transfer.exchange_format import Batch, Problem, Source

MOST_EXAMPLES = 100
_STAYS = "What is imported stays; run the same command again to import all."


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that was not imported.

    Attributes:
        row: its number in the file, from 0.
        path: as the file has it, or "".
        reason: what such rows are counted under; `detail` has the particulars.
    """

    file: str
    row: int
    path: str
    reason: str
    detail: str


@dataclass(slots=True)
class Loaded:
    """What an import of files did.

    Attributes:
        created: the collection was made.
        imported: rows that are in the collection now.
        reasons: how many rows were left out, by why.
        examples: the first of them, at most MOST_EXAMPLES.
        interrupted: stopped by Ctrl-C.
    """

    info: CollectionInfo
    files: list[str]
    created: bool
    imported: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class _Files:
    """What files say before any row is read.

    Attributes:
        names: of the collections their rows come from.
        described: one that says whose vectors it holds, and what it says.
        silent: one that does not, or "".
        dimensions: of their vectors, each with a file that has it.
    """

    paths: list[str]
    rows: int
    names: set[str]
    described: tuple[str, CollectionInfo] | None
    silent: str
    dimensions: dict[int, str]


def load(
    settings: Settings,
    patterns: Sequence[str],
    named_model: Callable[[CollectionInfo | None], Model],
    events: Events,
) -> Loaded:
    """Bring every row of exchange files into a collection, made when it does not exist.

    Args:
        settings: with the collection, metric and model, where the user named them.
        patterns: names of files, and globs.
        named_model: gives the model that the user named, for the vectors in a collection, or for
            a new one.

    Raises:
        NotFoundError: there is no such file.
        UsageError: nobody says whose vectors they are, or the collection has another metric than
            the user asked for.
        ClipstackError: a file is damaged, or its vectors don't belong into the collection.
    """
    started = time.monotonic()
    found = _look(exchange_files.expand(patterns), events)
    name = _collection_name(settings, found)
    if found.silent and settings.is_default("model"):
        raise UsageError(
            f"{found.silent}: does not say whose vectors it holds",
            hint="Name the model that made them with --model NAME.",
        )
    patience = RetryPolicy(settings.patience, events, hint=_STAYS)
    with deferred_sigint(patience.stop), connect(settings, create=True, patience=patience) as index:
        info = compatibility.existing(index, name)
        model, metric = _checked(settings, found, info, named_model, events)
        loaded = Loaded(
            info or compatibility.created(index, settings, name, model, metric),
            found.paths,
            created=info is None,
        )
        events.total = found.rows
        with contextlib.suppress(InterruptError):
            _load_all(settings, index, loaded, patience, events)
    loaded.interrupted = patience.stop.is_set()
    loaded.seconds = time.monotonic() - started
    return loaded


def _look(paths: list[str], events: Events) -> _Files:
    """What the files say of themselves.

    Raises:
        ClipstackError: one is damaged, or they say that they hold vectors of different models.
    """
    rows, silent, names = 0, "", set()
    described: tuple[str, CollectionInfo] | None = None
    dimensions: dict[int, str] = {}
    unused: dict[str, None] = {}
    for path in paths:
        with contextlib.closing(exchange_files.open_source(path)) as source:
            rows += source.rows
            unused |= dict.fromkeys(source.unused)
            if source.dimension is not None:
                dimensions.setdefault(source.dimension, path)
            if source.info is None:
                silent = silent or path
                continue
            names.add(source.info.name)
            described = described or (path, source.info)
            if described[1].fingerprint != source.info.fingerprint:
                raise ClipstackError(
                    f"{described[0]} holds vectors of {described[1].model!r}, and {path} others, "
                    f"of {source.info.model!r}",
                    hint="Import each into a collection of its own, with --collection NAME.",
                )
    if unused:
        events.note(f"Columns that are not read: {', '.join(unused)}.")
    return _Files(paths, rows, names, described, silent, dimensions)


def _collection_name(settings: Settings, found: _Files) -> str:
    """The collection that the user named, or else the one the rows come from."""
    if not settings.is_default("collection") or not found.names:
        return check_name(settings.collection)
    if len(found.names) > 1:
        raise UsageError(
            f"the files come from several collections: {', '.join(sorted(found.names))}",
            hint="Name the one to import into with --collection NAME.",
        )
    return check_name(*found.names)


def _checked(
    settings: Settings,
    found: _Files,
    info: CollectionInfo | None,
    named_model: Callable[[CollectionInfo | None], Model],
    events: Events,
) -> tuple[Model, str]:
    """The model whose vectors the files hold, and the metric of a new collection for them."""
    model: Model | None = None
    metric = settings.metric
    if found.described is not None:
        path, description = found.described
        model = compatibility.NamedModel.of(description)
        if info is not None:
            compatibility.require_same_vectors(info, model, path)
            if info.metric != description.metric:
                events.note(f"{info.name} compares by {info.metric}, not by {description.metric}.")
        if settings.origins.get("metric") != "--metric":
            metric = description.metric
    if found.silent or settings.origins.get("model") == "--model":
        named = named_model(info)
        if model is not None and named.fingerprint != model.fingerprint:
            raise ClipstackError(
                f"{path} holds vectors of {model.name!r}, not of {named.name!r}",
                hint="Leave out --model: the file says whose they are.",
            )
        model = named
    assert model is not None
    for dimension, path in found.dimensions.items():
        if dimension != model.dimension:
            raise ClipstackError(
                f"{path}: its vectors have {dimension} numbers, those of {model.name!r} "
                f"{model.dimension}",
                hint="Name the model that made them with --model NAME.",
            )
    if info and settings.origins.get("metric") == "--metric" and info.metric != settings.metric:
        raise UsageError(
            f"collection {info.name!r} compares by {info.metric}, not {settings.metric}",
            hint="A collection keeps its metric. Import into another with --collection NAME.",
        )
    return model, metric


def _load_all(
    settings: Settings, index: Index, loaded: Loaded, patience: RetryPolicy, events: Events
) -> None:
    collection = index.collection(loaded.info.name, patience=settings.patience, note=events.note)
    try:
        with Writer() as writer:
            run = _Run(collection, loaded, events, writer)
            for source, batch in _batches(loaded):
                run.take(source, batch)
                if patience.stop.is_set():
                    break
            run.flush()
    except ClipstackError as error:
        if loaded.imported:
            error.hint += f" {loaded.imported} rows were imported before, and stay."
        raise


def _batches(loaded: Loaded) -> Iterator[tuple[Source, Batch]]:
    """All batches of all files, one after the other."""
    for path in loaded.files:
        with contextlib.closing(exchange_files.open_source(path)) as source:
            for batch in source.batches(loaded.info.dimension):
                yield source, batch


class _Run:
    """The rows on their way from files into a collection."""

    def __init__(
        self, collection: Collection, loaded: Loaded, events: Events, writer: Writer
    ) -> None:
        self._collection = collection
        self._loaded = loaded
        self._events = events
        self._writer = writer
        self._checker = Checker(loaded.info, int(time.time()))
        self._new = collection.is_empty()
        self._pace = Pace(loaded.info.dimension)
        self._waiting: dict[str, Row] = {}
        self._good = self._count = 0

    def take(self, source: Source, batch: Batch) -> None:
        """Check a batch, and have what is good in it written, now or with the next ones."""
        rows, problems = self._checker.rows(batch)
        for number, problem in sorted(problems.items()):
            self._leave_out(source, batch, number, problem)
        self._waiting.update((row.id, row) for row in rows)
        self._good += len(batch.vectors) - len(problems)
        self._count += len(batch.vectors)
        if self._pace.is_due(len(self._waiting)):
            self.flush()

    def flush(self) -> None:
        """Have all that waits written."""
        rows, self._waiting = list(self._waiting.values()), {}
        self._writer.submit(partial(self._write, rows, self._good, self._count))
        self._good = self._count = 0
        self._pace.written()

    def _leave_out(self, source: Source, batch: Batch, number: int, problem: Problem) -> None:
        loaded = self._loaded
        loaded.reasons[problem.reason] += 1
        if len(loaded.examples) < MOST_EXAMPLES:
            path = batch.values["path"][number] or ""
            loaded.examples.append(LeftOut(source.path, batch.first + number, path, *problem))

    def _write(self, rows: list[Row], good: int, count: int) -> None:
        if rows:
            self._collection.upsert(rows, new=self._new)
        self._loaded.imported += good
        self._events.done(count)
