"""Pixels in, what a terminal takes of them out: another size, PNG, Sixel."""

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
    """uint8 RGB [height, width, 3] stretched or shrunk to exactly `size`."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def png(pixels: Pixels, room: Size) -> bytes:
    """A PNG with the whole picture in the middle of a transparent room of the shape of `room`.

    A terminal that stretches it over its cells then keeps the picture's shape.

    Args:
        pixels: uint8 RGB [height, width, 3].
        room: pixels on the terminal; a smaller picture is left for the terminal to enlarge.
    """
    height, width = pixels.shape[:2]
    scale = min(room[0] / width, room[1] / height)
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = resized(pixels, (width, height))
    else:
        room = max(width, round(room[0] / scale)), max(height, round(room[1] / scale))
    canvas = Image.new("RGBA", room)
    canvas.paste(Image.fromarray(pixels), ((room[0] - width) // 2, (room[1] - height) // 2))
    out = io.BytesIO()
    canvas.save(out, "PNG", compress_level=3)
    return out.getvalue()


def sixel(pixels: Pixels, room: Size) -> str:
    """A Sixel sequence of the picture at the largest size that fits into `room`.

    Source: DEC STD 070, chapter 9; encoded by textual-image.
    """
    # The public names of textual-image question the terminal as soon as they are imported.
    from textual_image._sixel import image_to_sixels

    height, width = pixels.shape[:2]
    scale = min(room[0] / width, room[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _colours_first(image_to_sixels(Image.fromarray(resized(pixels, size))))


def _colours_first(sequence: str) -> str:
    """The same with every colour defined before anything is drawn, as DEC's own examples do.

    textual-image defines each where it is first used. xterm (379) then draws what came before in
    other colours.
    """
    header = _SIXEL_HEADER.match(sequence)
    if header is None:
        return sequence
    drawn = sequence[header.end() :]
    defined = "".join(match[0] for match in _SIXEL_COLOUR.finditer(drawn))
    return header[0] + defined + _SIXEL_COLOUR.sub(r"\1", drawn)
