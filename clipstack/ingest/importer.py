"""An import by the settings: opens the collection and the model that the pipeline runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from clipstack.errors import ClipstackError, ImageError, UsageError
from clipstack.images.decode import Limits
from clipstack.images.scan import scan
from clipstack.index.base import Collection, Index, require_same_model
from clipstack.index.connect import connect, is_there
from clipstack.index.naming import check_name
from clipstack.index.vector_index import VectorIndex
from clipstack.ingest.pipeline import Events, Found, Summary, ingest, plan
from clipstack.model_selection import encoder_for, model_for
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder, ModelInfo
    from clipstack.index.schema import CollectionInfo


@dataclass(frozen=True, slots=True)
class Request:
    """What to import.

    Attributes:
        sources: folders, files, globs, or "-" for a list of paths on `stdin`.
        recursive: look into folders' subfolders.
        dry_run: only say what would be done.
        fail_fast: stop at the first file that fails.
    """

    sources: Sequence[str]
    stdin: BinaryIO
    recursive: bool = True
    dry_run: bool = False
    fail_fast: bool = False


class Progress(Events, Protocol):
    """Events of an import, and the number of files in all once it is known."""

    total: int | None

    def note(self, text: str) -> None:
        """Something good to know."""
        ...


_STAYS = (
    "What is imported stays; run the same command again to finish the rest. "
    "`clipstack health` says how the services are."
)


def run(
    settings: Settings,
    request: Request,
    progress: Progress,
    download: Callable[[int, int], None] | None = None,
    *,
    count: bool = False,
) -> Summary:
    """Import into `settings.collection`, made when it does not exist.

    Args:
        download: called with bytes done and bytes in all while the model is fetched.
        count: also count the files, beside the import, to tell `progress` the total.

    Raises:
        NotFoundError: a source does not exist.
        UsageError: the collection exists with another metric than asked for.
        PrerequisiteError: the model is not on this machine and not to be had.
        ClipstackError: the collection holds another model's vectors.
    """
    check_name(settings.collection)
    stop = threading.Event()
    if count and "-" not in request.sources:
        threading.Thread(target=_count, args=(request, progress, stop), daemon=True).start()
    try:
        if request.dry_run:
            return _plan(settings, request, progress)
        patience = RetryPolicy(settings.patience, progress, hint=_STAYS)
        with connect(settings, create=True, patience=patience) as index:
            collection, model = _collection(settings, index, download, progress.note)
            limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
            return ingest(
                _found(request),
                collection,
                model,
                partial(_encoder, settings, model, patience, progress.note),
                # Enough to keep every service of a fleet busy.
                batch_size=settings.batch_size * max(1, len(settings.encoder_url.split())),
                limits=limits,
                events=progress,
                fail_fast=request.fail_fast,
                interrupt=patience.stop,
            )
    finally:
        stop.set()


def _encoder(
    settings: Settings, model: ModelInfo, patience: RetryPolicy, note: Callable[[str], None]
) -> Encoder:
    """The model, ready for pictures."""
    encoder = encoder_for(settings, model, patience=patience, say=note)
    encoder.warm_up()
    return encoder


def _plan(settings: Settings, request: Request, progress: Progress) -> Summary:
    name = settings.collection
    if not is_there(settings):
        return plan(_found(request), None, progress)
    with connect(settings) as index:
        collection = None
        if index.exists(name):
            collection = index.collection(name, patience=settings.patience, note=progress.note)
        return plan(_found(request), collection, progress)


def _collection(
    settings: Settings,
    index: Index,
    download: Callable[[int, int], None] | None,
    note: Callable[[str], None],
) -> tuple[Collection, ModelInfo]:
    """The collection to import into, and its model."""
    info = _existing(settings, index)
    if info is None:
        index.check_vector_index(_vector_index(settings))
    model = model_for(settings, info, download=True, progress=download)
    if info is None:
        info = _created(settings, index, model)
    return index.collection(info.name, patience=settings.patience, note=note), model


def _existing(settings: Settings, index: Index) -> CollectionInfo | None:
    """The collection as it is, where there is one.

    Raises:
        UsageError: it has another metric, or another index on vectors, than asked for.
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
        wanted = index.check_vector_index(_vector_index(settings))
        have = index.describe(info.name).index
        if have and have.type != wanted.type:
            raise UsageError(
                f"collection {info.name!r} has the index {have.type}, not {wanted.type}",
                hint="A collection keeps its index. Import into another with --collection NAME.",
            )
    return info


def _created(settings: Settings, index: Index, model: ModelInfo) -> CollectionInfo:
    """A new collection, or the one that another import has made meanwhile."""
    try:
        return index.create(settings.collection, model, settings.metric, _vector_index(settings))
    except ClipstackError:
        info = _existing(settings, index)
        if info is None:
            raise
        require_same_model(info, model)
        return info


def _vector_index(settings: Settings) -> VectorIndex:
    return VectorIndex.of(settings.index, settings.index_params)


def _found(request: Request) -> Iterator[Found]:
    """What the scan finds, and its errors in their place."""
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


def _count(request: Request, progress: Progress, stop: threading.Event) -> None:
    total = 0
    for _ in _found(request):
        total += 1
        if stop.is_set():
            return
    progress.total = total
