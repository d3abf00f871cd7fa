"""A loaded Pillow image of any mode in, upright uint8 RGB pixels out."""

from __future__ import annotations

import numpy as np
from PIL import Image

from clipstack.images import resize, rgb
from clipstack.images.geometry import Geometry
from clipstack.images.metadata import orientation_and_date
from clipstack.images.resize import Box, Pixels

_LARGE_PIXELS = 16_000_000
_LONG_EDGE = 32_768


def pixels(
    im: Image.Image,
    geometry: Geometry | None,
    orientation: int = 1,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
) -> Pixels:
    """Convert, turn upright, resize and crop.

    Args:
        im: a loaded picture.
        geometry: the size the model wants, or None for the whole picture.
        orientation: by EXIF, 1 to 8.
        size: (width, height) of the whole picture, as stored, where `im` is a reduced one.
        box: where in `im` the whole picture lies, when not exactly at its edges.

    Returns:
        uint8 of shape [height, width, 3].
    """
    size = size or im.size
    convert = rgb.converter(im, _declared_max(im))
    if im.width * im.height > _LARGE_PIXELS or max(im.size) > _LONG_EDGE:
        if geometry is None:
            return orientation_and_date.upright_array(_averaged(im, convert, (1, 1)), orientation)
        factors = resize.reduction(geometry.turned(orientation), *im.size)
        left, top, right, bottom = box or (0, 0, *im.size)
        across, down = factors
        box = (left / across, top / down, right / across, bottom / down)
        small = Image.fromarray(_averaged(im, convert, factors))
    else:
        small = convert(im)
    upright = orientation_and_date.upright(small, orientation)
    if geometry is None:
        return resize.to_array(upright)
    if box is not None:
        box = orientation_and_date.upright_box(box, small.size, orientation)
    return resize.fit(upright, geometry, orientation_and_date.upright_size(size, orientation), box)


def _averaged(im: Image.Image, convert: rgb.Convert, factors: tuple[int, int]) -> Pixels:
    """A large picture, (across, down) of its pixels averaged into one; never copied whole."""
    across, down = factors
    out = np.empty((-(-im.height // down), -(-im.width // across), 3), np.uint8)
    for top, piece in rgb.strips(im, down):
        small = resize.to_array(convert(piece).reduce(factors))
        out[top // down : top // down + small.shape[0]] = small
    return out


def _declared_max(im: Image.Image) -> int | None:
    """The grey value that means white, when the file says so and it is more than 255."""
    if im.format == "PPM":
        return 65535
    bits = getattr(im, "tag_v2", {}).get(258)
    if im.mode.startswith("I;16") and isinstance(bits, tuple) and len(bits) == 1:
        return (1 << int(bits[0])) - 1
    return None
