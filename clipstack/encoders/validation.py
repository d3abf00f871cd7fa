"""Checks of what goes into an encoder and comes out of it, the same for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clipstack.encoders.base import ModelInfo


def check_pixels(pixels: NDArray[np.uint8], info: ModelInfo) -> None:
    """Raises ValueError unless they are uint8 [n, height, width, 3] as the model reads them."""
    expected = (*info.geometry.shape, 3)
    if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != "uint8":
        raise ValueError(
            f"pixels must be uint8 of shape (n, {', '.join(map(str, expected))}), "
            f"not {pixels.dtype} of {pixels.shape}"
        )


def check_texts(texts: Sequence[str]) -> None:
    """Raises TypeError for a text alone."""
    if isinstance(texts, str):
        raise TypeError("encode_texts takes a sequence of texts, not one text")


def replace_surrogates(text: str) -> str:
    """The text without lone surrogates (of a broken file name, say), which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def gather(parts: Iterable[NDArray[np.float32]], info: ModelInfo) -> NDArray[np.float32]:
    """The parts of a result as one array, float32 [n, dimension].

    Raises:
        ClipstackError: a vector is not finite, or the model gave vectors of another length.
    """
    import numpy as np

    arrays = list(parts)
    if not arrays:
        return np.empty((0, info.dimension), dtype=np.float32)
    vectors = np.concatenate(arrays)
    if vectors.shape[1] != info.dimension:
        raise ClipstackError(
            f"the model {info.name} gave vectors of {vectors.shape[1]} numbers, "
            f"its files say {info.dimension}"
        )
    if not np.isfinite(vectors).all():
        raise ClipstackError(
            f"the model {info.name} gave a vector that is not finite",
            hint="Its weights may be damaged: fetch or copy the model again.",
        )
    return vectors
