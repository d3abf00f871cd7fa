"""A model's encoder in; the vectors of phrases that have nothing to do with a query out.

What such phrases score in a collection is what a query of one's own is compared with.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clipstack.search import prompts, term_vectors
from clipstack.settings import atomic_file, cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from clipstack.encoders.base import Encoder, ModelInfo

    Floats = npt.NDArray[np.float32]

PHRASES = 800
_BATCH = 100
# Part of the cache's key; another number for other phrases.
_EDITION = 1


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
    """`count` different phrases of everyday words, the same every time: vague and precise ones."""
    made = _phrases(random.Random(5))
    found: dict[str, None] = {}
    while len(found) < count:
        found[next(made)] = None
    return list(found)


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
    note: Callable[[str], None] = lambda _: None,
    prompt: str = "none",
) -> Floats:
    """The phrases' vectors, float32 [at most PHRASES, dimension], as the model gives them.

    Encoded once for a model and a prompt, and kept in the cache folder. Phrases that are one to
    the model, as words it does not know are passed over, count once.

    Args:
        load: gives the model's encoder, if it is needed.
        note: told that this takes a while.
        prompt: as in a Query; the phrases are put into it as the query's texts are.
    """
    import numpy as np

    words = hashlib.blake2b("\n".join(prompts.templates(prompt)).encode(), digest_size=8)
    name = f"{model.fingerprint}-{_EDITION}-{words.hexdigest()}.npy"
    file = cache_dir() / "background" / name
    with contextlib.suppress(OSError, ValueError):
        kept: Floats = np.load(file)
        if kept.ndim == 2 and kept.shape[1] == model.dimension:
            return kept
    note(f"Encoding {PHRASES} phrases to compare with, once for this model.")
    encoder, texts = load(), phrases()
    parts = [
        _encoded(encoder, texts[at : at + _BATCH], prompts.templates(prompt))
        for at in range(0, len(texts), _BATCH)
    ]
    made = _different(np.concatenate(parts))
    packed = io.BytesIO()
    np.save(packed, made)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(file, packed.getvalue())
    return made


def _encoded(encoder: Encoder, texts: Sequence[str], templates: Sequence[str]) -> Floats:
    import numpy as np

    said = [prompts.filled(one, text) for text in texts for one in templates]
    found = encoder.encode_texts(said)
    size = len(templates)
    return np.stack([term_vectors.mean(found[at : at + size]) for at in range(0, len(said), size)])


def _different(found: Floats) -> Floats:
    import numpy as np

    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    alike = np.tril(unit @ unit.T > 0.9995, -1)
    kept: Floats = found[~alike.any(axis=1)]
    return kept
