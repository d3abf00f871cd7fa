"""Settings and sources in, an import's summary out: opens what the pipeline runs on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from clipstack.errors import ClipstackError, ImageError, UsageError
from clipstack.images.decode import Limits
from clipstack.images.scan import scan
from clipstack.index import collections, indexes, upkeep
from clipstack.index.indexes import Index
from clipstack.index.store import Store
from clipstack.patience import Patience
from clipstack.pipeline import Events, Found, Summary, ingest, plan
from clipstack.settings import Settings
from clipstack.workspace import encoder_for, has_database, model_for, open_database

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder, ModelInfo
    from clipstack.index.client import Client
    from clipstack.index.database import Database
    from clipstack.index.server import Server


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
    collections.check_name(settings.collection)
    stop = threading.Event()
    if count and "-" not in request.sources:
        threading.Thread(target=_count, args=(request, progress, stop), daemon=True).start()
    try:
        if request.dry_run:
            return _plan(settings, request, progress)
        patience = Patience(settings.patience, progress, hint=_STAYS)
        loading = _Loading(settings, patience, progress.note)
        with open_database(settings, create=True, patience=patience) as database:
            store, model = _open_store(settings, database, download, progress.note)
            limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
            return ingest(
                _found(request),
                store,
                model,
                partial(loading.encoder, model),
                # Enough to keep every service of a fleet busy.
                batch_size=settings.batch_size * max(1, len(settings.encoder_url.split())),
                limits=limits,
                events=progress,
                fail_fast=request.fail_fast,
                interrupt=patience.stop,
            )
    finally:
        stop.set()


class _Loading:
    """The model's way into memory: beside the opening of the database where that is new.

    Whatever is imported then has to be encoded, by a model that no collection has a say in.
    """

    def __init__(self, settings: Settings, patience: Patience, note: Callable[[str], None]) -> None:
        self._encoder = partial(encoder_for, settings, patience=patience, say=note)
        self._ahead: Future[Encoder] | None = None
        if has_database(settings) or settings.encoder_url:
            return
        pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._ahead = pool.submit(lambda: self._load(model_for(settings, None, download=False)))
        pool.shutdown(wait=False)

    def encoder(self, model: ModelInfo) -> Encoder:
        """The model, ready for pictures."""
        if self._ahead is not None:
            with contextlib.suppress(ClipstackError):  # it is tried again, and then says why
                encoder = self._ahead.result()
                if encoder.info == model:
                    return encoder
        return self._load(model)

    def _load(self, model: ModelInfo) -> Encoder:
        encoder = self._encoder(model)
        encoder.warm_up()
        return encoder


def _plan(settings: Settings, request: Request, progress: Progress) -> Summary:
    if not has_database(settings):
        return plan(_found(request), None, progress)
    with open_database(settings) as database:
        store = None
        if collections.exists(database.client, settings.collection):
            info = collections.get_info(database.client, settings.collection)
            _make_ready(settings, database, info.name, progress.note)
            store = Store(database.client, info)
        return plan(_found(request), store, progress)


def _open_store(
    settings: Settings,
    database: Database | Server,
    download: Callable[[int, int], None] | None,
    note: Callable[[str], None],
) -> tuple[Store, ModelInfo]:
    client, name = database.client, settings.collection
    info = collections.get_info(client, name) if collections.exists(client, name) else None
    if info and not settings.is_default("metric") and settings.metric != info.metric:
        raise UsageError(
            f"collection {name!r} compares by {info.metric}, not {settings.metric}",
            hint="A collection keeps its metric. Import into another with --collection NAME.",
        )
    wanted = Index.of(settings.index, settings.index_params)
    if info and settings.origins.get("index") == "--index":
        _require_index(client, info.name, wanted)
    model = model_for(settings, info, download=True, progress=download)
    info = info or collections.create(client, name, model, settings.metric, wanted)
    _make_ready(settings, database, info.name, note)
    return Store(client, info), model


def _require_index(client: Client, name: str, wanted: Index) -> None:
    have = indexes.describe(client, name)
    if have and have.type != indexes.check(wanted, embedded=client.embedded).type:
        raise UsageError(
            f"collection {name!r} has the index {have.type}, not {wanted.type}",
            hint="A collection keeps its index. Import into another with --collection NAME.",
        )


def _make_ready(
    settings: Settings, database: Database | Server, name: str, note: Callable[[str], None]
) -> None:
    upkeep.ensure_loaded(database.client, name, patience=settings.patience, note=note)


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
