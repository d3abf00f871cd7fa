"""Vectors of terms: pictures are read and decoded, texts are put into prompts."""

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
class TermInput:
    """A term, with everything that its vector is made from.

    Attributes:
        prompt: as in a Query, for a text.
        data: a picture's bytes; None for a text and for a row of the collection.
    """

    term: Term
    prompt: str = "none"
    data: bytes | None = None

    @property
    def needs_model(self) -> bool:
        """Whether a model makes the vector; that of a row is in the collection."""
        return not self.term.id


def read(query: Query, settings: Settings) -> list[TermInput]:
    """Read the files of a query's terms, and fetch their URLs.

    Raises:
        NotFoundError: there is no such file, or nothing at a URL.
        ImageError: a file can't be read.
        UnreachableError: a URL's server does not answer.
        ClipstackError: a URL's server refuses.
    """
    return [TermInput(term, query.prompt, _data(term, settings)) for term in query.terms]


def encode(
    inputs: Sequence[TermInput], encoder: Callable[[], Encoder], settings: Settings
) -> list[Encoded]:
    """Encode terms, texts and pictures in batches.

    Args:
        encoder: gives the loaded model; called if there is something to encode.

    Returns:
        For each term the vector as the model gives it, float32 [dimension]; None for a row of the
        collection; the error for a picture that can't be decoded.
    """
    vectors: list[Encoded] = [None] * len(inputs)
    texts = [n for n, each in enumerate(inputs) if each.needs_model and each.data is None]
    pictures = [n for n, each in enumerate(inputs) if each.data is not None]
    size = settings.batch_size
    for start in range(0, len(texts), size):
        _encode_texts(texts[start : start + size], inputs, encoder(), vectors)
    for start in range(0, len(pictures), size):
        _encode_pictures(pictures[start : start + size], inputs, encoder(), settings, vectors)
    return vectors


def _encode_texts(
    indices: Sequence[int], inputs: Sequence[TermInput], encoder: Encoder, vectors: list[Encoded]
) -> None:
    prompted = {
        n: [prompts.fill(each, inputs[n].term.text) for each in prompts.templates(inputs[n].prompt)]
        for n in indices
    }
    encoded = encoder.encode_texts([text for texts in prompted.values() for text in texts])
    start = 0
    for n, texts in prompted.items():
        vectors[n] = mean(encoded[start : start + len(texts)])
        start += len(texts)


def _encode_pictures(
    indices: Sequence[int],
    inputs: Sequence[TermInput],
    encoder: Encoder,
    settings: Settings,
    vectors: list[Encoded],
) -> None:
    import numpy as np

    from clipstack.images.decode import decode

    limits = limits_of(settings)
    pixels: dict[int, Pixels] = {}
    for n in indices:
        term, data = inputs[n].term, inputs[n].data or b""
        name = "" if term.data is not None else term.name
        try:
            pixels[n] = decode(data, encoder.info.geometry, limits, path=name).pixels
        except ImageError as error:
            vectors[n] = error
    if pixels:
        encoded = encoder.encode_images(np.stack(list(pixels.values())))
        for n, vector in zip(pixels, encoded, strict=True):
            vectors[n] = vector


def limits_of(settings: Settings) -> Limits:
    """The limits of a query's picture."""
    from clipstack.images.decode import Limits

    return Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)


def mean(vectors: Vector) -> Vector:
    """The mean direction of [n, dimension], at their mean length; a single vector as it is."""
    import numpy as np

    if len(vectors) == 1:
        single: Vector = vectors[0]
        return single
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
