"""Import of exchange files into a collection."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from clipstack import interrupts
from clipstack.errors import ClipstackError, UsageError
from clipstack.events import Events
from clipstack.index.base import Collection, Index
from clipstack.index.connect import connect
from clipstack.index.naming import check_name
from clipstack.index.schema import CollectionInfo, Model, Row
from clipstack.index.transfer import compatibility, exchange_files
from clipstack.index.transfer.validation import RowValidator
from clipstack.index.transfer.writer import BackgroundWriter, FlushTimer
from clipstack.retry import InterruptError, RetryPolicy
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.transfer.exchange_format import Batch, RowProblem, Source

MAX_EXAMPLES = 100
_RESUME_HINT = "What is imported stays; run the same command again to import all."


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was not imported.

    Attributes:
        row: its number in the file, from 0.
        path: as in the file, or "".
        reason: the reason that it is counted under; `detail` has details.
    """

    file: str
    row: int
    path: str
    reason: str
    detail: str


@dataclass(slots=True)
class FileImportResult:
    """The result of an import of files.

    Attributes:
        created: whether the collection was created.
        imported: number of rows written to the collection.
        reasons: number of rejected rows by reason.
        examples: the first rejected rows, at most MAX_EXAMPLES.
        interrupted: whether Ctrl-C stopped it.
    """

    info: CollectionInfo
    files: list[str]
    created: bool
    imported: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[RejectedRow] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class _FileSummary:
    """Properties of the files, known before any row is read.

    Attributes:
        rows: number of rows in all files.
        collections: names of the collections that the rows come from.
        labelled: a file with a description, and its description; None if no file has one.
        unlabelled: a file without a description, or "".
        dimensions: of the vectors, each with a file that has it.
    """

    paths: list[str]
    rows: int
    collections: set[str]
    labelled: tuple[str, CollectionInfo] | None
    unlabelled: str
    dimensions: dict[int, str]


def import_files(
    settings: Settings,
    patterns: Sequence[str],
    named_model: Callable[[CollectionInfo | None], Model],
    events: Events,
) -> FileImportResult:
    """Import every row of exchange files into a collection, which is created if necessary.

    Args:
        settings: with the collection, metric and model, if the user named them.
        patterns: names of files, and globs.
        named_model: returns the model that the user named, given the collection's description, or
            None for a new collection.

    Raises:
        NotFoundError: there is no such file.
        UsageError: neither the files nor the user name the model of the vectors, or the collection
            has another metric than the user asked for.
        ClipstackError: a file is damaged, or its vectors don't match the collection's.
    """
    started = time.monotonic()
    summary = _inspect(exchange_files.expand(patterns), events)
    name = _collection_name(settings, summary)
    if summary.unlabelled and settings.is_default("model"):
        raise UsageError(
            f"{summary.unlabelled}: does not say whose vectors it holds",
            hint="Name the model that made them with --model NAME.",
        )
    retry_policy = RetryPolicy(settings.patience, events, hint=_RESUME_HINT)
    with (
        interrupts.deferred(retry_policy.stop),
        connect(settings, create=True, retry_policy=retry_policy) as index,
    ):
        info = compatibility.find_collection(index, name)
        model, metric = _resolve_model_and_metric(settings, summary, info, named_model, events)
        result = FileImportResult(
            info or compatibility.create_collection(index, settings, name, model, metric),
            summary.paths,
            created=info is None,
        )
        events.set_total(summary.rows)
        with contextlib.suppress(InterruptError):
            _import_rows(settings, index, result, retry_policy, events)
    result.interrupted = retry_policy.stop.is_set()
    result.seconds = time.monotonic() - started
    return result


def _inspect(paths: list[str], events: Events) -> _FileSummary:
    """Read the properties of the files.

    Raises:
        ClipstackError: a file is damaged, or they hold vectors of different models.
    """
    rows, unlabelled, collections = 0, "", set()
    labelled: tuple[str, CollectionInfo] | None = None
    dimensions: dict[int, str] = {}
    unused: dict[str, None] = {}
    for path in paths:
        with contextlib.closing(exchange_files.open_source(path)) as source:
            rows += source.rows
            unused |= dict.fromkeys(source.unused)
            if source.dimension is not None:
                dimensions.setdefault(source.dimension, path)
            if source.info is None:
                unlabelled = unlabelled or path
                continue
            collections.add(source.info.name)
            labelled = labelled or (path, source.info)
            if labelled[1].fingerprint != source.info.fingerprint:
                raise ClipstackError(
                    f"{labelled[0]} holds vectors of {labelled[1].model!r}, and {path} others, "
                    f"of {source.info.model!r}",
                    hint="Import each into a collection of its own, with --collection NAME.",
                )
    if unused:
        events.note(f"Columns that are not read: {', '.join(unused)}.")
    return _FileSummary(paths, rows, collections, labelled, unlabelled, dimensions)


def _collection_name(settings: Settings, summary: _FileSummary) -> str:
    """The collection that the user named, or else the one that the rows come from."""
    if not settings.is_default("collection") or not summary.collections:
        return check_name(settings.collection)
    if len(summary.collections) > 1:
        raise UsageError(
            f"the files come from several collections: {', '.join(sorted(summary.collections))}",
            hint="Name the one to import into with --collection NAME.",
        )
    return check_name(*summary.collections)


def _resolve_model_and_metric(
    settings: Settings,
    summary: _FileSummary,
    info: CollectionInfo | None,
    named_model: Callable[[CollectionInfo | None], Model],
    events: Events,
) -> tuple[Model, str]:
    """The model of the files' vectors, and the metric for a new collection."""
    model: Model | None = None
    metric = settings.metric
    if summary.labelled is not None:
        path, description = summary.labelled
        model = compatibility.NamedModel.from_info(description)
        if info is not None:
            compatibility.require_same_vectors(info, model, path)
            if info.metric != description.metric:
                events.note(f"{info.name} compares by {info.metric}, not by {description.metric}.")
        if settings.origins.get("metric") != "--metric":
            metric = description.metric
    if summary.unlabelled or settings.origins.get("model") == "--model":
        chosen_model = named_model(info)
        if model is not None and chosen_model.fingerprint != model.fingerprint:
            raise ClipstackError(
                f"{path} holds vectors of {model.name!r}, not of {chosen_model.name!r}",
                hint="Leave out --model: the file says whose they are.",
            )
        model = chosen_model
    assert model is not None
    for dimension, path in summary.dimensions.items():
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


def _import_rows(
    settings: Settings,
    index: Index,
    result: FileImportResult,
    retry_policy: RetryPolicy,
    events: Events,
) -> None:
    collection = index.collection(result.info.name, patience=settings.patience, events=events)
    try:
        with BackgroundWriter() as writer:
            row_import = _RowImport(collection, result, events, writer)
            for source, batch in _batches(result):
                row_import.add(source, batch)
                if retry_policy.stop.is_set():
                    break
            row_import.flush()
        collection.require_exists()
    except ClipstackError as error:
        if result.imported:
            error.hint += f" {result.imported} rows were imported before, and stay."
        raise


def _batches(result: FileImportResult) -> Iterator[tuple[Source, Batch]]:
    """All batches of all files, in order."""
    for path in result.files:
        with contextlib.closing(exchange_files.open_source(path)) as source:
            for batch in source.batches(result.info.dimension):
                yield source, batch


class _RowImport:
    """Validates rows of files and writes them to a collection."""

    def __init__(
        self,
        collection: Collection,
        result: FileImportResult,
        events: Events,
        writer: BackgroundWriter,
    ) -> None:
        self._collection = collection
        self._result = result
        self._events = events
        self._writer = writer
        self._validator = RowValidator(result.info, int(time.time()))
        self._is_new = collection.is_empty()
        self._flush_timer = FlushTimer(result.info.dimension)
        self._pending: dict[str, Row] = {}
        self._accepted_count = self._row_count = 0

    def add(self, source: Source, batch: Batch) -> None:
        """Validate a batch, and write its valid rows, now or with later batches."""
        rows, problems = self._validator.rows(batch)
        for number, problem in sorted(problems.items()):
            self._reject(source, batch, number, problem)
        self._pending.update((row.id, row) for row in rows)
        self._accepted_count += len(batch.vectors) - len(problems)
        self._row_count += len(batch.vectors)
        if self._flush_timer.is_due(len(self._pending)):
            self.flush()

    def flush(self) -> None:
        """Write all pending rows."""
        rows, self._pending = list(self._pending.values()), {}
        self._writer.submit(partial(self._write, rows, self._accepted_count, self._row_count))
        self._accepted_count = self._row_count = 0
        self._flush_timer.restart()

    def _reject(self, source: Source, batch: Batch, number: int, problem: RowProblem) -> None:
        result = self._result
        result.reasons[problem.reason] += 1
        if len(result.examples) < MAX_EXAMPLES:
            path = batch.values["path"][number] or ""
            result.examples.append(RejectedRow(source.path, batch.first + number, path, *problem))

    def _write(self, rows: list[Row], accepted_count: int, row_count: int) -> None:
        if rows:
            self._collection.upsert(rows, new=self._is_new)
        self._result.imported += accepted_count
        self._events.advance(row_count)
