"""An upright RGB or grey picture and a Geometry in, the model's uint8 pixels out.

The arithmetic is that of Hugging Face transformers' image processors with the Pillow backend
(`image_transforms.resize` and `center_crop`), to the bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipstack.images.geometry import Geometry

Pixels = NDArray[np.uint8]

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""

_HUGE_AREA = 16_000_000
_REDUCING_GAP = 3


def reduction(geometry: Geometry, width: int, height: int) -> tuple[int, int]:
    """How many source pixels (across, down) may be averaged into one before the exact resize.

    At least three times the wanted size is left, what Pillow calls a reducing gap of 3.0.
    """
    tall, wide = geometry.resized(height, width)
    return max(1, width // (_REDUCING_GAP * wide)), max(1, height // (_REDUCING_GAP * tall))


def fit(
    im: Image.Image,
    geometry: Geometry,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
) -> Pixels:
    """Resize and crop a picture.

    Args:
        im: an upright picture of mode "RGB" or "L".
        geometry: what the model wants.
        size: (width, height) of the whole picture where `im` is a reduced one.
        box: where in `im` the whole picture lies, when not exactly at its edges.

    Returns:
        uint8 of shape (*geometry.shape, 3), contiguous.
    """
    width, height = size or im.size
    box = box or (0.0, 0.0, float(im.width), float(im.height))
    tall, wide = geometry.resized(height, width)
    if geometry.crop is None:
        return to_array(im.resize((wide, tall), geometry.resample, box))
    if tall * wide > _HUGE_AREA:
        keep = min(wide, geometry.crop[1]), min(tall, geometry.crop[0])
        resized = im.resize(keep, geometry.resample, _centre(box, (wide, tall), keep))
    else:
        resized = im.resize((wide, tall), geometry.resample, box)
    return _cropped(resized, *geometry.crop)


def to_array(im: Image.Image) -> Pixels:
    """uint8 of shape [height, width, 3] from a picture of mode "RGB" or "L"."""
    return np.asarray(im if im.mode == "RGB" else im.convert("RGB"))


def _centre(box: Box, size: tuple[int, int], keep: tuple[int, int]) -> Box:
    """The part of `box` that becomes the middle `keep` of its `size` pixels (width, height)."""
    left, top, right, bottom = box
    across, down = (right - left) / size[0], (bottom - top) / size[1]
    left += (size[0] - keep[0]) // 2 * across
    top += (size[1] - keep[1]) // 2 * down
    return left, top, min(left + keep[0] * across, right), min(top + keep[1] * down, bottom)


def _cropped(im: Image.Image, crop_tall: int, crop_wide: int) -> Pixels:
    if im.height < crop_tall or im.width < crop_wide:
        return _padded_crop(to_array(im), crop_tall, crop_wide)
    top, left = (im.height - crop_tall) // 2, (im.width - crop_wide) // 2
    return to_array(im.crop((left, top, left + crop_wide, top + crop_tall)))


def _padded_crop(pixels: Pixels, crop_tall: int, crop_wide: int) -> Pixels:
    """The centre crop of a picture smaller than the crop: zeros around it, as transformers does."""
    tall, wide = pixels.shape[:2]
    new_tall, new_wide = max(crop_tall, tall), max(crop_wide, wide)
    canvas = np.zeros((new_tall, new_wide, 3), np.uint8)
    above, before = math.ceil((new_tall - tall) / 2), math.ceil((new_wide - wide) / 2)
    canvas[above : above + tall, before : before + wide] = pixels
    top, left = (tall - crop_tall) // 2 + above, (wide - crop_wide) // 2 + before
    return np.ascontiguousarray(canvas[top : top + crop_tall, left : left + crop_wide])
