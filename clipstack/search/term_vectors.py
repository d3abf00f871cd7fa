"""The terms of queries in, a vector for each out: pictures read and decoded, texts in prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from clipstack.errors import ImageError, NotFoundError, Reason
from clipstack.search import prompts
from clipstack.search.query import Query, Term
from clipstack.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from clipstack.encoders.base import Encoder
    from clipstack.images.decode import Limits
    from clipstack.index.schema import Vector

    Pixels = npt.NDArray[np.uint8]

Encoded = Union["Vector", ImageError, None]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A term with all that a model needs for its vector.

    Attributes:
        prompt: as in a Query, for a text.
        data: a picture's bytes; None for a text, and for a row of the collection.
    """

    term: Term
    prompt: str = "none"
    data: bytes | None = None

    @property
    def encodes(self) -> bool:
        """Whether a model is needed; a row's vector is in the collection."""
        return not self.term.id


def read(query: Query, settings: Settings) -> list[Material]:
    """The terms of a query, their files read and their URLs fetched.

    Raises:
        NotFoundError: there is no such file, or nothing at the URL.
        ImageError: the file can't be read.
        UnreachableError: the URL's server does not answer.
        ClipstackError: it answers with something else.
    """
    return [Material(term, query.prompt, _data(term, settings)) for term in query.terms]


def encode(
    materials: Sequence[Material], encoder: Callable[[], Encoder], settings: Settings
) -> list[Encoded]:
    """The model's vector for each of `materials`, as it gives it; texts and pictures in batches.

    Args:
        encoder: gives the loaded model; called when there is something to encode.

    Returns:
        float32 [dimension] each; None for rows of the collection, the error for a picture that
        can't be decoded.
    """
    found: list[Encoded] = [None] * len(materials)
    texts = [n for n, one in enumerate(materials) if one.encodes and one.data is None]
    pictures = [n for n, one in enumerate(materials) if one.data is not None]
    size = settings.batch_size
    for start in range(0, len(texts), size):
        _encode_texts(texts[start : start + size], materials, encoder(), found)
    for start in range(0, len(pictures), size):
        _encode_pictures(pictures[start : start + size], materials, encoder(), settings, found)
    return found


def _encode_texts(
    which: Sequence[int], materials: Sequence[Material], encoder: Encoder, found: list[Encoded]
) -> None:
    said = {
        n: [prompts.filled(one, materials[n].term.text) for one in prompts.templates(prompt)]
        for n in which
        for prompt in [materials[n].prompt]
    }
    vectors = encoder.encode_texts([text for texts in said.values() for text in texts])
    start = 0
    for n, texts in said.items():
        found[n] = mean(vectors[start : start + len(texts)])
        start += len(texts)


def _encode_pictures(
    which: Sequence[int],
    materials: Sequence[Material],
    encoder: Encoder,
    settings: Settings,
    found: list[Encoded],
) -> None:
    import numpy as np

    from clipstack.images.decode import decode

    limits = limits_of(settings)
    pixels: dict[int, Pixels] = {}
    for n in which:
        term, data = materials[n].term, materials[n].data or b""
        name = "" if term.data is not None else term.name
        try:
            pixels[n] = decode(data, encoder.info.geometry, limits, path=name).pixels
        except ImageError as error:
            found[n] = error
    if pixels:
        vectors = encoder.encode_images(np.stack(list(pixels.values())))
        for n, vector in zip(pixels, vectors, strict=True):
            found[n] = vector


def limits_of(settings: Settings) -> Limits:
    """How large a query's picture may be."""
    from clipstack.images.decode import Limits

    return Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)


def mean(vectors: Vector) -> Vector:
    """The mean direction of [n, dimension], at their mean length; a single one as it is."""
    import numpy as np

    if len(vectors) == 1:
        only: Vector = vectors[0]
        return only
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = (vectors / lengths).mean(axis=0)
    scaled: Vector = (mean * (lengths.mean() / np.linalg.norm(mean))).astype(np.float32)
    return scaled


def _data(term: Term, settings: Settings) -> bytes | None:
    if term.image is not None:
        return _read_file(term.image, settings)
    if term.url:
        from clipstack.search.url_fetch import fetch

        return fetch(term.url, max_bytes=settings.max_bytes)
    return term.data


def _read_file(image: Path, settings: Settings) -> bytes:
    from clipstack.images.decode import read_file

    try:
        return read_file(str(image), limits_of(settings))
    except ImageError as error:
        if error.reason is Reason.VANISHED:
            raise NotFoundError(f"{image}: there is no such file") from None
        raise
