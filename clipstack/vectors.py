"""Arithmetic of vectors that several rooms need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors of length 1 in the directions of `vectors`, float32 [n, dimension]; 0 stays 0."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: npt.NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return directions
