"""What every encoder promises, and what is known of its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clipstack.images.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model before any engine loads it.

    Attributes:
        name: the model as the user named it: `shapes`, a folder or a hub id.
        revision: the hub's commit hash, or "" for a model that did not come from a hub.
        fingerprint: hex digits; equal for models that give the same vectors (same weights,
            preprocessing and tokenisation), wherever they lie. See `fingerprint.py`.
        dimension: length of the vectors, the same for pictures and texts.
        family: "clip", "siglip" or "siglip2".
        geometry: how a picture becomes the pixels this model reads.
        context_length: tokens of text the model reads; what is beyond is cut off.
        folder: where the model's files lie; an empty path for a service's model.
        quantized_from: for int8 the fingerprint of the model whose image tower was quantised;
            "" for a model as it is. See `openvino/int8_store.py`.
    """

    name: str
    revision: str
    fingerprint: str
    dimension: int
    family: str
    geometry: Geometry
    context_length: int
    folder: Path
    quantized_from: str = ""


class Encoder(Protocol):
    """A loaded model. Vectors come as the model gives them: projected, not normalised."""

    @property
    def info(self) -> ModelInfo:
        """The model behind the vectors."""
        ...

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures that already have the shape `info.geometry` asks for.

        Args:
            pixels: uint8 [n, height, width, 3], RGB; n may be 0.

        Returns:
            float32 [n, dimension], in the order of the pictures.

        Raises:
            ValueError: the array has another shape or type.
            ClipstackError: the model gave a vector that is not finite.
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts; one longer than `info.context_length` tokens is cut off.

        Returns:
            float32 [n, dimension], in the order of the texts; n may be 0.

        Raises:
            ClipstackError: the model gave a vector that is not finite.
        """
        ...

    def warm_up(self) -> None:
        """Make ready for pictures now, rather than with the first of them."""
        ...


class LocalEncoder(Encoder, Protocol):
    """An encoder inside this process, which also says what it runs on and counts tokens.

    Attributes:
        engine: "openvino" or "torch".
        precision: what it computes in: "fp32", "bf16", "fp16" or "int8".
    """

    engine: str
    precision: str

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with those that mark its ends, before any is cut off."""
        ...
