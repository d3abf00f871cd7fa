"""Pixels in, what terminals draw out: other sizes, PNG, Sixel."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

from clipstack.images.resize import Pixels

_SIXEL_HEADER = re.compile(r'\x1bP[\d;]*q(?:"[\d;]*)?')
_SIXEL_COLOUR = re.compile(r"(#\d+);2;\d+;\d+;\d+")

Size = tuple[int, int]
"""(width, height) in pixels."""


def resized(pixels: Pixels, size: Size) -> Pixels:
    """uint8 RGB [height, width, 3] scaled to exactly `size`."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def png(pixels: Pixels, box: Size) -> bytes:
    """A PNG of the picture, centred on a transparent canvas with the aspect ratio of `box`.

    A terminal that stretches it over its cells then keeps the picture's own aspect ratio.

    Args:
        pixels: uint8 RGB [height, width, 3].
        box: pixels on the terminal; the terminal itself enlarges a smaller picture.
    """
    height, width = pixels.shape[:2]
    scale = min(box[0] / width, box[1] / height)
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = resized(pixels, (width, height))
    else:
        box = max(width, round(box[0] / scale)), max(height, round(box[1] / scale))
    canvas = Image.new("RGBA", box)
    canvas.paste(Image.fromarray(pixels), ((box[0] - width) // 2, (box[1] - height) // 2))
    out = io.BytesIO()
    canvas.save(out, "PNG", compress_level=3)
    return out.getvalue()


def sixel(pixels: Pixels, box: Size) -> str:
    """A Sixel sequence of the picture at the largest size that fits into `box`.

    Source: DEC STD 070, chapter 9; encoded by textual-image.
    """
    # The public modules of textual-image query the terminal as soon as they are imported.
    from textual_image._sixel import image_to_sixels

    height, width = pixels.shape[:2]
    scale = min(box[0] / width, box[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _colours_first(image_to_sixels(Image.fromarray(resized(pixels, size))))


def _colours_first(sequence: str) -> str:
    """The sequence with all colours defined before anything is drawn, as in DEC's own examples.

    textual-image defines each colour where it is first used; xterm 379 then changes the colours
    of what it drew before.
    """
    header = _SIXEL_HEADER.match(sequence)
    if header is None:
        return sequence
    drawn = sequence[header.end() :]
    defined = "".join(match[0] for match in _SIXEL_COLOUR.finditer(drawn))
    return header[0] + defined + _SIXEL_COLOUR.sub(r"\1", drawn)
