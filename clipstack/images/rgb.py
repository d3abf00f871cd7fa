"""A decoded Pillow image of any mode in, 8-bit RGB or grey out.

How values become 8 bits:

- 16-bit grey: divided by 257 and rounded (fewer significant bits, as in 12-bit TIFF, by their own
  maximum); 16-bit colour: the high byte, which is what Pillow keeps.
- 32-bit integers and floats: a float picture whose values all lie in [0, 1] is multiplied by 255;
  any other is stretched from its least to its greatest finite value; NaN and infinities become
  the least value. A PGM declares its range, so Pillow's 0 to 65535 is divided by 257.
- Alpha, a transparent palette entry or a transparent colour is composited over white.
- CMYK is converted without its profile, as Pillow does; LAB through LittleCMS to sRGB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image

Convert = Callable[[Image.Image], Image.Image]

_STRIP_BYTES = 4 << 20


def strips(im: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """The rows of a picture in pieces of about 4 MiB: (first row, picture).

    Args:
        im: a loaded picture.
        multiple: every piece but the last is this many rows high or a multiple of it.
    """
    rows = max(1, _STRIP_BYTES // (4 * im.width * multiple)) * multiple
    for top in range(0, im.height, rows):
        yield top, im.crop((0, top, im.width, min(top + rows, im.height)))


def converter(im: Image.Image, declared_max: int | None = None) -> Convert:
    """A function that turns this picture, or any piece of it, into mode "RGB" or "L".

    Args:
        im: a loaded picture of any mode; looked at for its mode, range and transparency.
        declared_max: the value that means white in a grey picture of more than 8 bits, when the
            file says so.

    Raises:
        ValueError: the mode can't become RGB.
    """
    mode = im.mode
    if mode.startswith("I;16"):
        white = float(declared_max or 65535)
        return partial(_scaled, low=0.0, high=white, clear=im.info.get("transparency"))
    if mode in ("I", "F"):
        if declared_max:
            return partial(_scaled, low=0.0, high=float(declared_max))
        low, high = _range(im)
        if mode == "F" and low >= 0.0 and high <= 1.0:
            low, high = 0.0, 1.0
        return partial(_scaled, low=low, high=high)
    if mode == "RGB" and isinstance(im.info.get("transparency"), tuple):
        return _keyed
    if im.has_transparency_data or mode in ("La", "RGBa", "PA"):
        return _over_white
    if mode in ("L", "RGB"):
        return _same
    if mode == "1":
        return lambda piece: piece.convert("L")
    if mode == "LAB":
        return _lab
    return lambda piece: piece.convert("RGB")


def _same(piece: Image.Image) -> Image.Image:
    return piece


def _over_white(piece: Image.Image) -> Image.Image:
    if piece.mode in ("La", "RGBa"):
        piece = piece.convert("LA" if piece.mode == "La" else "RGBA")
    if piece.mode != "RGBA":
        piece = piece.convert("RGBA")
    white = Image.new("RGB", piece.size, (255, 255, 255))
    white.paste(piece, mask=piece.getchannel("A"))
    return white


def _keyed(piece: Image.Image) -> Image.Image:
    key = piece.info["transparency"]
    pixels = np.array(piece)
    pixels[(pixels == np.asarray(key, np.uint8)).all(axis=2)] = 255
    return Image.fromarray(pixels)


def _scaled(piece: Image.Image, *, low: float, high: float, clear: object = None) -> Image.Image:
    values = np.asarray(piece)
    scale = 255.0 / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore"):  # signalling NaNs
        finite = np.nan_to_num(values.astype(np.float64), nan=low, posinf=low, neginf=low)
    levels = np.clip((finite - low) * scale + 0.5, 0, 255)
    grey = levels.astype(np.uint8)
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def _range(im: Image.Image) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for _, piece in strips(im):
        values = np.asarray(piece)
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _lab(piece: Image.Image) -> Image.Image:
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        piece, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise ValueError("LAB can't become RGB")
    return converted
