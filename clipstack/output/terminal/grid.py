"""Pictures on the terminal: a grid of them with captions, or one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ImageError
from clipstack.output.out import printable
from clipstack.output.terminal.detection import Protocol, Terminal
from clipstack.thumbnail_cache import ThumbnailCache

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from clipstack.images.resize import Pixels
    from clipstack.output.terminal.protocols import Cells

_TILE = 22
_LARGEST_TILE = 30
_GAP = 2
_CAPTION_LINES = 2
_WORKERS = 4
_EDGES = (256, 512, 1024)


@dataclass(frozen=True, slots=True)
class GridPicture:
    """A picture for the grid.

    Attributes:
        path: absolute.
        caption: the line between the picture and its name, such as its rank and score.
    """

    path: str
    caption: str


def shows_blocks(console: Console) -> bool:
    """Whether this terminal has enough colours for half blocks."""
    return console.color_system in ("256", "truecolor") and not console.no_color


def _load(
    thumbnails: ThumbnailCache, pictures: Iterable[GridPicture], edge: int
) -> list[tuple[GridPicture, Pixels | ImageError]]:
    """The pictures with their pixels, at most `edge` wide and high, or why they can't be read."""

    def read(picture: GridPicture) -> tuple[GridPicture, Pixels | ImageError]:
        try:
            return picture, thumbnails.pixels(picture.path, edge)
        except ImageError as error:
            return picture, error

    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(read, pictures))


def _edge(terminal: Terminal, width: int) -> int:
    """The edge in pixels of thumbnails that fill `width` columns of the terminal."""
    pixels = width * terminal.cell[0]
    return next((edge for edge in _EDGES if edge >= pixels), _EDGES[-1])


def _tile_width(columns: int) -> tuple[int, int]:
    """How many pictures fit side by side on `columns`, and the columns of each."""
    count = max(1, (columns + _GAP) // (_TILE + _GAP))
    return count, max(1, min(_LARGEST_TILE, (columns - (count - 1) * _GAP) // count))


def draw_grid(
    console: Console,
    terminal: Terminal,
    thumbnails: ThumbnailCache,
    pictures: Sequence[GridPicture],
) -> None:
    """Draw pictures side by side in rows, each row as soon as its pictures are read.

    A picture that can't be read is a frame with the reason in it.
    """
    count, width = _tile_width(console.width)
    square = round(width * terminal.cell[0] / terminal.cell[1])
    # A row higher than the terminal would scroll away before its pictures are drawn.
    box = width, max(1, min(square, console.height - _CAPTION_LINES - 2))
    console.print()
    for start in range(0, len(pictures), count):
        row = _load(thumbnails, pictures[start : start + count], _edge(terminal, width))
        _draw_row(console, terminal, row, box)


def draw_picture(
    console: Console, terminal: Terminal, thumbnails: ThumbnailCache, path: str, box: Cells
) -> ImageError | None:
    """Draw the picture at `path` alone, in at most `box`; the error where it can't be read."""
    from clipstack.output.terminal import protocols

    box = box[0], min(box[1], protocols.MAX_ROWS)
    pixels = _load(thumbnails, [GridPicture(path, "")], _edge(terminal, box[0]))[0][1]
    if isinstance(pixels, ImageError):
        return pixels
    tile = _Tile(terminal, pixels, box)
    _write_over(console, [tile], [tile.text(tile.cells[1])], tile.cells[1])
    return None


class _Tile:
    """A picture's part of a row.

    Attributes:
        upload: the sequence that is written before the text, or "".
        sequence: makes the sequence that draws the picture over the text; None where the text
            itself shows it.
    """

    def __init__(self, terminal: Terminal, pixels: Pixels | ImageError, box: Cells) -> None:
        from clipstack.output.terminal import protocols

        self.width = box[0]
        self.cells = box[0], max(1, box[1] // 2)
        self.sequence: Callable[[], str] | None = None
        self._text: Text | None = None
        self.upload = ""
        self._error = ""
        if isinstance(pixels, ImageError):
            self._error = str(pixels.reason)
            return
        cells = protocols.fit_cells(pixels, box, terminal.cell)
        self.cells = cells
        if terminal.protocol is Protocol.BLOCKS:
            self._text = protocols.half_blocks(pixels, cells)
        elif terminal.protocol is Protocol.KITTY and terminal.through_tmux:
            self.upload, self._text = protocols.kitty_placeholders(terminal, pixels, cells)
        else:
            self.sequence = lambda: protocols.image_sequence(terminal, pixels, cells)

    def text(self, rows: int) -> RenderableType:
        """The text in the picture's place: the picture itself where it is made of characters."""
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.text import Text

        if self._error:
            return Panel(
                Text(self._error, justify="center"), width=self.width, height=rows, style="dim"
            )
        text = self._text or Text(" ")
        height = self.cells[1] if self._text else 1
        return Padding(text, (0, 0, rows - height, 0))


def _draw_row(
    console: Console,
    terminal: Terminal,
    row: Sequence[tuple[GridPicture, Pixels | ImageError]],
    box: Cells,
) -> None:
    from rich.console import Group

    tiles = [_Tile(terminal, pixels, box) for _, pixels in row]
    rows = max(tile.cells[1] for tile in tiles)
    contents = [
        Group(tile.text(rows), *_caption(picture, box[0]))
        for tile, (picture, _) in zip(tiles, row, strict=True)
    ]
    _write_over(console, tiles, contents, rows + _CAPTION_LINES)
    console.print()


def _write_over(
    console: Console, tiles: Sequence[_Tile], contents: Sequence[RenderableType], height: int
) -> None:
    """Write `contents` side by side, `height` lines, and then the pictures over them.

    The text comes first, so nothing scrolls while pictures are drawn. The cursor is restored after
    each picture, as terminals leave it in different places.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for tile in tiles:
        table.add_column(width=tile.width, no_wrap=True)
    table.add_row(*contents)
    console.file.write("".join(tile.upload for tile in tiles))
    console.print(table, crop=False, no_wrap=True)
    if not any(tile.sequence for tile in tiles):
        return
    write = console.file.write
    write(f"\x1b[{height}A")
    for number, tile in enumerate(tiles):
        if tile.sequence:
            across = number * (tile.width + _GAP)
            write("\r" + (f"\x1b[{across}C" if across else ""))
            write(f"\x1b7{tile.sequence()}\x1b8")
    write(f"\r\x1b[{height}B")
    console.file.flush()


def _caption(picture: GridPicture, width: int) -> list[Text]:
    from rich.cells import set_cell_size
    from rich.style import Style
    from rich.text import Text

    path = Path(picture.path)
    name = Text(printable(path.name), no_wrap=True, end="")
    name.truncate(width, overflow="ellipsis")
    name.stylize(Style(link=path.as_uri()))
    return [Text(set_cell_size(picture.caption, width).rstrip(), style="dim", no_wrap=True), name]
