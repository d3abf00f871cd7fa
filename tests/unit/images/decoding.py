"""Pixels in, a file's bytes out, and back: what tests of decoding share."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image

from clipstack.images.decode import decode


def pixels(data: bytes) -> np.ndarray:
    return decode(data, None).pixels


def saved(im: Image.Image, kind: str, **settings) -> bytes:
    out = io.BytesIO()
    im.save(out, kind, **settings)
    return out.getvalue()


def tiff(values: np.ndarray, **settings) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, values, **settings)
    return out.getvalue()


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[:, :, None] / 255
    return rgb * share + 255 * (1 - share)


def assert_close(got: np.ndarray, wanted: np.ndarray, at_most: float = 1) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got.astype(float) - wanted).max() <= at_most
