"""A query in, the pictures of a collection that fit it best out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, ImageError, NotFoundError, Reason, UsageError
from clipstack.images.decode import Limits, decode, read_file
from clipstack.index import collections, upkeep
from clipstack.index.indexes import parameters
from clipstack.index.schema import CollectionInfo
from clipstack.index.store import MAX_LIMIT, Hit, Store
from clipstack.settings import Settings
from clipstack.workspace import encoder_for, model_for, open_database

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.encoders.base import ModelInfo

    Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: either `text` or the picture at `image`.

    Attributes:
        under: an absolute folder; only pictures in it or below.
        min_score: leave out what is worse, by the collection's metric.
    """

    text: str = ""
    image: Path | None = None
    under: str | None = None
    min_score: float | None = None

    def check(self) -> None:
        """Raises UsageError when there is nothing, or too much, to look for."""
        if self.image is None and not self.text.strip():
            raise UsageError(
                "nothing to search for", hint='Try `clipstack search "dog"` or --image FILE.'
            )
        if self.image is not None and self.text.strip():
            raise UsageError("search for a text or for --image, not both")


def check_limit(limit: int) -> None:
    """Raises UsageError when Milvus can't return that many hits at once."""
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"-k {limit}: a search returns 1 to {MAX_LIMIT} hits", hint="Try -k 10.")


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
    import numpy as np

    query.check()
    check_limit(settings.limit)
    data = _read(query.image, settings) if query.image else None
    started = time.monotonic()
    with open_database(settings) as database:
        info = collections.get_info(database.client, settings.collection)
        upkeep.ensure_loaded(database.client, info.name, patience=settings.patience, note=note)
        if not collections.count(database.client, info.name):
            raise ClipstackError(
                f"collection {info.name!r} is empty",
                hint=f"Fill it with `clipstack import FOLDER --collection {info.name}`.",
            )
        model = model_for(settings, info, download=True, progress=progress)
        pixels = _pixels(data, query, model, settings) if data else None
        encoder = encoder_for(settings, model)
        if pixels is None:
            vector = encoder.encode_texts([query.text])[0]
        else:
            vector = encoder.encode_images(np.stack([pixels]))[0]
        hits = Store(database.client, info).search(
            vector,
            limit=settings.limit,
            under=query.under,
            min_score=query.min_score,
            params=parameters(settings.search_params),
        )
    return Result(query, info, hits, time.monotonic() - started)


def _limits(settings: Settings) -> Limits:
    return Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)


def _read(image: Path, settings: Settings) -> bytes:
    try:
        return read_file(str(image), _limits(settings))
    except ImageError as error:
        if error.reason is Reason.VANISHED:
            raise NotFoundError(f"{image}: there is no such file") from None
        raise


def _pixels(data: bytes, query: Query, model: ModelInfo, settings: Settings) -> Pixels:
    picture = decode(data, model.geometry, _limits(settings), path=str(query.image))
    return picture.pixels
