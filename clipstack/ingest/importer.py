"""Imports into the collection, with the model, that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from clipstack.errors import ClipstackError, ImageError, UsageError
from clipstack.events import SILENT, Events
from clipstack.images.decode import Limits
from clipstack.images.scan import scan
from clipstack.index.base import Collection, Index, require_same_model
from clipstack.index.connect import connect, index_exists
from clipstack.index.naming import check_name
from clipstack.index.vector_index import VectorIndex
from clipstack.ingest.pipeline import ImportSummary, Scanned, ingest, plan
from clipstack.model_selection import encoder_for, model_for
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder, ModelInfo
    from clipstack.index.schema import CollectionInfo


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Attributes:
        sources: folders, files, globs, or "-" for a list of paths on `stdin`.
        recursive: include subfolders.
        dry_run: only predict what an import would do.
        fail_fast: stop at the first file that fails.
    """

    sources: Sequence[str]
    stdin: BinaryIO
    recursive: bool = True
    dry_run: bool = False
    fail_fast: bool = False


_HINT = (
    "What is imported stays; run the same command again to finish the rest. "
    "`clipstack health` says how the services are."
)


def run(
    settings: Settings,
    request: ImportRequest,
    events: Events = SILENT,
    *,
    count: bool = False,
) -> ImportSummary:
    """Import into `settings.collection`, which is created if it does not exist.

    Args:
        events: reports files and their outcomes, outages, downloads and what takes a while.
        count: also count the files, in another thread, to report the total.

    Raises:
        NotFoundError: a source does not exist.
        UsageError: the collection exists with another metric than requested.
        PrerequisiteError: the model is not on this machine and can't be downloaded.
        ClipstackError: the collection holds another model's vectors.
    """
    check_name(settings.collection)
    stop = threading.Event()
    if count and "-" not in request.sources:
        threading.Thread(target=_count, args=(request, events, stop), daemon=True).start()
    try:
        if request.dry_run:
            return _plan(settings, request, events)
        retry_policy = RetryPolicy(settings.patience, events, hint=_HINT)
        with connect(settings, create=True, retry_policy=retry_policy) as index:
            collection, model = _collection(settings, index, retry_policy, events)
            limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
            return ingest(
                _scanned(request),
                collection,
                model,
                partial(_encoder, settings, model, retry_policy, events),
                # Enough to keep every encoder service busy.
                batch_size=settings.batch_size * max(1, len(settings.encoder_urls)),
                limits=limits,
                events=events,
                fail_fast=request.fail_fast,
                interrupt=retry_policy.stop,
            )
    finally:
        stop.set()


def _encoder(
    settings: Settings, model: ModelInfo, retry_policy: RetryPolicy, events: Events
) -> Encoder:
    """The encoder, warmed up."""
    encoder = encoder_for(settings, model, retry_policy=retry_policy, events=events)
    encoder.warm_up()
    return encoder


def _plan(settings: Settings, request: ImportRequest, events: Events) -> ImportSummary:
    name = settings.collection
    if not index_exists(settings):
        return plan(_scanned(request), None, events)
    with connect(settings) as index:
        collection = None
        if index.exists(name):
            collection = index.collection(name, patience=settings.patience, events=events)
        return plan(_scanned(request), collection, events)


def _collection(
    settings: Settings,
    index: Index,
    retry_policy: RetryPolicy,
    events: Events,
) -> tuple[Collection, ModelInfo]:
    """The collection to import into, and its model."""
    info = _existing(settings, index)
    if info is None:
        index.resolve_vector_index(_vector_index(settings))
    model = model_for(settings, info, download=True, events=events, retry_policy=retry_policy)
    if info is None:
        info = _create(settings, index, model)
    return index.collection(info.name, patience=settings.patience, events=events), model


def _existing(settings: Settings, index: Index) -> CollectionInfo | None:
    """The collection, or None if it does not exist.

    Raises:
        UsageError: it has another metric or vector index than requested.
    """
    name = settings.collection
    if not index.exists(name):
        return None
    info = index.info(name)
    if not settings.is_default("metric") and settings.metric != info.metric:
        raise UsageError(
            f"collection {name!r} compares by {info.metric}, not {settings.metric}",
            hint="A collection keeps its metric. Import into another with --collection NAME.",
        )
    if settings.origins.get("index") == "--index":
        requested = index.resolve_vector_index(_vector_index(settings))
        actual = index.describe(info.name).index
        if actual and actual.type != requested.type:
            raise UsageError(
                f"collection {info.name!r} has the index {actual.type}, not {requested.type}",
                hint="A collection keeps its index. Import into another with --collection NAME.",
            )
    return info


def _create(settings: Settings, index: Index, model: ModelInfo) -> CollectionInfo:
    """Create the collection, unless another import has done so meanwhile."""
    try:
        return index.create(settings.collection, model, settings.metric, _vector_index(settings))
    except ClipstackError:
        info = _existing(settings, index)
        if info is None:
            raise
        require_same_model(info, model)
        return info


def _vector_index(settings: Settings) -> VectorIndex:
    return VectorIndex(settings.index, settings.index_params)


def _scanned(request: ImportRequest) -> Iterator[Scanned]:
    """The files of a scan, with its errors in between."""
    errors: list[ImageError] = []
    for file in scan(
        request.sources,
        recursive=request.recursive,
        stdin=request.stdin,
        on_error=errors.append,
    ):
        yield from errors
        errors.clear()
        yield file
    yield from errors


def _count(request: ImportRequest, events: Events, stop: threading.Event) -> None:
    total = 0
    for _ in _scanned(request):
        total += 1
        if stop.is_set():
            return
    events.set_total(total)
