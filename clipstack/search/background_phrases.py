"""Phrases that have nothing to do with a query, and their vectors.

A query is compared with what they score in the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clipstack.events import SILENT, Events
from clipstack.search import prompts, term_vectors
from clipstack.settings import atomic_file, cache_dir
from clipstack.vectors import unit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from clipstack.encoders.base import Encoder, ModelInfo

    Floats = npt.NDArray[np.float32]

PHRASES = 800
_BATCH = 100
_EDITION = 1
"""Part of the cache's key: change it when the phrases change."""


def _words(text: str) -> list[str]:
    return text.split()


_COUNTS = ["a", "the", "one", "two", "three", "four", "many"]
_SIZES = ["small", "large", "tiny", "big"]
_LOOKS = ["striped", "dotted", "checked", "plain", "old", "wooden", "new", "bright"]
_PLACES = ["on the left", "on the right", "at the top", "at the bottom", "in the middle"]
_SHAPES = ["circle", "square", "triangle", "star", "heart", "ring", "cross"]
_COLOURS = [
    *("red", "green", "blue", "yellow", "purple", "orange"),
    *("brown", "black", "white", "pink", "grey"),
]
_THINGS = _words(
    """
    dog cat bird horse fish cow sheep tree flower grass forest mountain beach sea lake river sky
    cloud sunset night snow rain street road car bus train bicycle boat plane bridge house
    building church window door room kitchen bed chair table food cake fruit bread drink coffee
    glass bottle plate person man woman child baby crowd face hand wedding party concert dance
    sport football game toy book newspaper letter sign map screenshot phone computer screen camera
    clock lamp candle fire smoke water stone sand metal wood paper cloth shirt dress shoe hat bag
    garden field farm city village market shop office school museum statue painting drawing
    cartoon
    """
)


def phrases(count: int = PHRASES) -> list[str]:
    """`count` different phrases of everyday words, vague and precise ones; always the same."""
    generator = _phrases(random.Random(5))
    unique: dict[str, None] = {}
    while len(unique) < count:
        unique[next(generator)] = None
    return list(unique)


def _phrases(rng: random.Random) -> Iterator[str]:
    grounds = [f"on a {colour} background" for colour in _COLOURS]
    while True:
        share = rng.choice((0.2, 0.35, 0.5))
        nouns = _SHAPES if rng.random() < 0.3 else _THINGS
        parts = [rng.choice(n) for n in (_COUNTS, _SIZES, _COLOURS, _LOOKS) if rng.random() < share]
        parts += [rng.choice(nouns)] if rng.random() < 0.85 else []
        parts += [rng.choice(n) for n in (_PLACES, grounds) if rng.random() < share]
        if parts:
            yield " ".join(parts)


def vectors(
    model: ModelInfo,
    load: Callable[[], Encoder],
    events: Events = SILENT,
    prompt: str = "none",
) -> Floats:
    """Vectors of the phrases, as the model gives them.

    They are encoded once for a model and a prompt, and cached in a file. Of phrases that are the
    same to the model, as it ignores words that it does not know, one is used.

    Args:
        load: gives the model's encoder, if it is needed.
        events: reports that this takes a while.
        prompt: as in a Query; it is put around the phrases, too.

    Returns:
        float32 [at most PHRASES, dimension].
    """
    import numpy as np

    templates = prompts.templates(prompt)
    digest = hashlib.blake2b("\n".join(templates).encode(), digest_size=8).hexdigest()
    name = f"{model.fingerprint}-{_EDITION}-{digest}.npy"
    file = cache_dir() / "background" / name
    with contextlib.suppress(OSError, ValueError):
        cached: Floats = np.load(file)
        if cached.ndim == 2 and cached.shape[1] == model.dimension:
            return cached
    events.note(f"Encoding {PHRASES} phrases to compare with, once for this model.")
    encoder, texts = load(), phrases()
    parts = [
        _encode(encoder, texts[start : start + _BATCH], templates)
        for start in range(0, len(texts), _BATCH)
    ]
    distinct = _without_duplicates(np.concatenate(parts))
    buffer = io.BytesIO()
    np.save(buffer, distinct)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, buffer.getvalue())
    return distinct


def _encode(encoder: Encoder, texts: Sequence[str], templates: Sequence[str]) -> Floats:
    import numpy as np

    size = len(templates)
    vectors = encoder.encode_texts(
        [prompts.fill(each, text) for text in texts for each in templates]
    )
    return np.stack(
        [term_vectors.mean(vectors[start : start + size]) for start in range(0, len(vectors), size)]
    )


def _without_duplicates(vectors: Floats) -> Floats:
    import numpy as np

    units = unit(vectors)
    alike = np.tril(units @ units.T > 0.9995, -1)
    distinct: Floats = vectors[~alike.any(axis=1)]
    return distinct
