"""Pixels and a size in cells in, what draws them on a terminal out."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clipstack.output.terminal.detection import Protocol, Terminal

if TYPE_CHECKING:
    from rich.text import Text

    from clipstack.images.resize import Pixels

Cells = tuple[int, int]
"""Columns and rows."""

_CHUNK = 4096
_PLACEHOLDER = "\U0010eeee"
# Combining characters that give a placeholder's row: the first 64 of Kitty's list.
# Source: rowcolumn-diacritics.txt of the Kitty graphics protocol.
_ROW_DIACRITICS = [
    *(0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C),
    *(0x350, 0x351, 0x352, 0x357, 0x35B, 0x363, 0x364, 0x365, 0x366, 0x367, 0x368, 0x369),
    *(0x36A, 0x36B, 0x36C, 0x36D, 0x36E, 0x36F, 0x483, 0x484, 0x485, 0x486, 0x487, 0x592),
    *(0x593, 0x594, 0x595, 0x597, 0x598, 0x599, 0x59C, 0x59D, 0x59E, 0x59F, 0x5A0, 0x5A1),
    *(0x5A8, 0x5A9, 0x5AB, 0x5AC, 0x5AF, 0x5C4, 0x610, 0x611, 0x612, 0x613, 0x614, 0x615),
    *(0x616, 0x617, 0x657, 0x658),
]
MAX_ROWS = len(_ROW_DIACRITICS)


def fit_cells(pixels: Pixels, box: Cells, cell: tuple[int, int]) -> Cells:
    """The largest size in cells, at most `box`, that keeps the picture's aspect ratio.

    Args:
        pixels: [height, width, 3].
        cell: width and height of a cell in pixels.
    """
    height, width = pixels.shape[:2]
    scale = min(box[0] * cell[0] / width, box[1] * cell[1] / height)
    columns = round(width * scale / cell[0])
    rows = round(height * scale / cell[1])
    return max(1, min(box[0], columns)), max(1, min(box[1], rows))


def image_sequence(terminal: Terminal, pixels: Pixels, cells: Cells) -> str:
    """The sequence that draws a picture over `cells`, with its upper left corner at the cursor.

    For Kitty (not through tmux), iTerm2 and Sixel. They leave the cursor in different places.
    """
    from clipstack.output.terminal import image_encoding

    box = cells[0] * terminal.cell[0], cells[1] * terminal.cell[1]
    if terminal.protocol is Protocol.SIXEL:
        sequence = image_encoding.sixel(pixels, box)
    elif terminal.protocol is Protocol.ITERM:
        sequence = iterm_sequence(image_encoding.png(pixels, box), cells)
    else:
        control = f"a=T,C=1,c={cells[0]},r={cells[1]}"
        sequence = kitty_sequence(image_encoding.png(pixels, box), control)
    return tmux_passthrough(sequence) if terminal.through_tmux else sequence


def kitty_sequence(png: bytes, control: str) -> str:
    """A PNG in Kitty's protocol, with its control data.

    Source: The Kitty graphics protocol, "Remote client" and "Control data reference".
    """
    return "".join(_kitty_parts(png, control))


def _kitty_parts(png: bytes, control: str) -> Iterator[str]:
    data = base64.standard_b64encode(png).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    for number, chunk in enumerate(chunks, 1):
        first = f"{control},f=100,q=2," if number == 1 else "q=2,"
        yield f"\x1b_G{first}m={int(number < len(chunks))};{chunk}\x1b\\"


def iterm_sequence(png: bytes, cells: Cells) -> str:
    """A PNG in iTerm2's protocol.

    Source: iTerm2, Inline Images Protocol.
    """
    arguments = f"inline=1;size={len(png)};width={cells[0]};height={cells[1]};preserveAspectRatio=1"
    return f"\x1b]1337;File={arguments}:{base64.standard_b64encode(png).decode()}\x07"


def tmux_passthrough(sequence: str) -> str:
    """`sequence` for the terminal that tmux runs in; needs tmux's option allow-passthrough."""
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    return f"\x1bPtmux;{doubled}\x1b\\"


def kitty_placeholders(terminal: Terminal, pixels: Pixels, cells: Cells) -> tuple[str, Text]:
    """For Kitty through tmux: the sequence that sends a picture, and the text that it replaces.

    tmux moves and clips that text like any other. The text's colour gives the low 8 bits of the
    picture's id, as tmux keeps no more of it everywhere; a combining character gives the bits
    from the 24th on.
    Source: The Kitty graphics protocol, "Unicode placeholders".
    """
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    from clipstack.output.terminal import image_encoding

    box = cells[0] * terminal.cell[0], cells[1] * terminal.cell[1]
    low, high = 16 + secrets.randbelow(240), secrets.randbelow(MAX_ROWS)
    control = f"a=T,U=1,i={high << 24 | low},c={cells[0]},r={cells[1]}"
    parts = _kitty_parts(image_encoding.png(pixels, box), control)
    sent = "".join(tmux_passthrough(part) for part in parts)
    marks = [chr(mark) for mark in _ROW_DIACRITICS]
    lines = [
        _PLACEHOLDER + marks[row] + marks[0] + marks[high] + _PLACEHOLDER * (cells[0] - 1)
        for row in range(cells[1])
    ]
    style = Style(color=Color.from_ansi(low))
    return sent, Text("\n".join(lines), style=style, no_wrap=True, end="")


def half_blocks(pixels: Pixels, cells: Cells) -> Text:
    """A picture as half blocks, characters that each show two pixels, one above the other."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    from clipstack.output.terminal import image_encoding

    scaled = image_encoding.resized(pixels, (cells[0], 2 * cells[1]))
    text = Text(no_wrap=True, end="")
    for row in range(cells[1]):
        if row:
            text.append("\n")
        for upper, lower in zip(scaled[2 * row], scaled[2 * row + 1], strict=True):
            text.append(
                "\u2580", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
            )
    return text
