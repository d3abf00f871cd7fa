"""Settings and a query in, its hits out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack import remembered
from clipstack.errors import ClipstackError, ImageError, NotFoundError, Reason
from clipstack.index import collections, upkeep
from clipstack.index.indexes import parameters
from clipstack.index.schema import CollectionInfo
from clipstack.index.store import Hit, Store
from clipstack.search.query import Query, Term, check_limit
from clipstack.settings import Settings
from clipstack.workspace import encoder_for, model_for, open_database

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.encoders.base import ModelInfo
    from clipstack.images.decode import Limits

    Pixels = npt.NDArray[np.uint8]
    Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found: hits best first, and the collection they came from."""

    query: Query
    collection: CollectionInfo
    hits: list[Hit]
    seconds: float


def search(
    settings: Settings,
    query: Query,
    *,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Result:
    """Search `settings.collection`, with the model its vectors came from.

    A collection that is released is loaded, and `note` told so.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such collection.
        ClipstackError: the collection is empty or holds another model's vectors.
        ImageError: the query picture can't be read.
    """
    query.check()
    check_limit(settings.limit)
    term = query.terms[0]
    data = _read(term.image, settings) if term.image else None
    started = time.monotonic()
    ahead = _Ahead(settings, term, data, note or (lambda _: None))
    with open_database(settings) as database:
        info = collections.get_info(database.client, settings.collection)
        upkeep.ensure_loaded(database.client, info.name, patience=settings.patience, note=note)
        if database.client.embedded:  # it would do so at the first search, after the encoding
            database.client.load_collection(info.name)
        vector = ahead.vector(info)
        if vector is None:
            model = model_for(settings, info, download=True, progress=progress)
            vector = _encode(settings, term, data, model, note or (lambda _: None))
        hits = Store(database.client, info).search(
            vector,
            limit=settings.limit,
            expression=query.filters.expression(),
            min_score=query.min_score,
            params=parameters(settings.search_params),
        )
        if not hits and not collections.count(database.client, info.name):
            raise ClipstackError(
                f"collection {info.name!r} is empty",
                hint=f"Fill it with `clipstack import FOLDER --collection {info.name}`.",
            )
    remembered.write(settings, info)
    return Result(query, info, hits, time.monotonic() - started)


class _Ahead:
    """The query's vector, begun beside the opening of the database.

    Which model the collection has is only known once that is open; what it was the last time is
    a good guess.
    """

    def __init__(
        self, settings: Settings, term: Term, data: bytes | None, note: Callable[[str], None]
    ) -> None:
        self._guess = remembered.read(settings)
        self._found: Future[Vector] = Future()
        if self._guess is None:
            return
        guess = self._guess

        def work() -> None:
            try:
                model = model_for(settings, guess, download=False)
                self._found.set_result(_encode(settings, term, data, model, note))
            except BaseException as error:
                self._found.set_exception(error)

        threading.Thread(target=work, name="encode", daemon=True).start()

    def vector(self, info: CollectionInfo) -> Vector | None:
        """float32 [dimension], or None where the guess was wrong, or none could be made."""
        if self._guess != info:
            return None
        try:
            return self._found.result()
        except ClipstackError:  # it is tried again, and then says why
            return None


def _encode(
    settings: Settings,
    term: Term,
    data: bytes | None,
    model: ModelInfo,
    note: Callable[[str], None],
) -> Vector:
    import numpy as np

    pixels = _pixels(data, term, model, settings) if data else None
    encoder = encoder_for(settings, model, say=note)
    found: Vector = (
        encoder.encode_texts([term.text])[0]
        if pixels is None
        else encoder.encode_images(np.stack([pixels]))[0]
    )
    return found


def _limits(settings: Settings) -> Limits:
    from clipstack.images.decode import Limits

    return Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)


def _read(image: Path, settings: Settings) -> bytes:
    from clipstack.images.decode import read_file

    try:
        return read_file(str(image), _limits(settings))
    except ImageError as error:
        if error.reason is Reason.VANISHED:
            raise NotFoundError(f"{image}: there is no such file") from None
        raise


def _pixels(data: bytes, term: Term, model: ModelInfo, settings: Settings) -> Pixels:
    from clipstack.images.decode import decode

    picture = decode(data, model.geometry, _limits(settings), path=str(term.image))
    return picture.pixels
