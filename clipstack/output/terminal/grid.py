"""Pictures and captions in, a grid of them on the terminal out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ImageError
from clipstack.output.out import printable
from clipstack.output.terminal.detection import Protocol, Terminal
from clipstack.thumbnail_cache import Expected, Thumbnails

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from clipstack.images.resize import Pixels
    from clipstack.output.terminal.placement import Cells

_TILE = 22
_LARGEST_TILE = 30
_GAP = 2
_CAPTION = 2
_WORKERS = 4
_EDGES = (256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture for the grid.

    Attributes:
        path: absolute.
        above: the caption's first line, such as its rank and score.
        expected: what the file must be, where that is known.
    """

    path: str
    above: str
    expected: Expected | None = None


def shows_blocks(console: Console) -> bool:
    """Whether this terminal has colours enough for half blocks."""
    return console.color_system in ("256", "truecolor") and not console.no_color


def thumbnails(
    kept: Thumbnails, shown: Iterable[Shown], edge: int
) -> list[tuple[Shown, Pixels | ImageError]]:
    """The pictures at most `edge` pixels wide and high, or why one can't be read."""

    def read(one: Shown) -> tuple[Shown, Pixels | ImageError]:
        try:
            return one, kept.pixels(one.path, edge, expected=one.expected)
        except ImageError as error:
            return one, error

    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(read, shown))


def edge(terminal: Terminal, width: int) -> int:
    """The size of thumbnails that are shown on `width` columns of the terminal."""
    wanted = width * terminal.cell[0]
    return next((edge for edge in _EDGES if edge >= wanted), _EDGES[-1])


def tile_width(columns: int) -> tuple[int, int]:
    """How many pictures stand side by side on that many columns, and how wide each is."""
    count = max(1, (columns + _GAP) // (_TILE + _GAP))
    return count, max(1, min(_LARGEST_TILE, (columns - (count - 1) * _GAP) // count))


def grid(console: Console, terminal: Terminal, kept: Thumbnails, shown: Sequence[Shown]) -> None:
    """Draw `shown` side by side in rows, each row as soon as its pictures are read.

    What can't be read any more is a frame with the reason in it.
    """
    count, width = tile_width(console.width)
    square = round(width * terminal.cell[0] / terminal.cell[1])
    # A row that is higher than the terminal would have scrolled away before it is drawn over.
    room = width, max(1, min(square, console.height - _CAPTION - 2))
    console.print()
    for start in range(0, len(shown), count):
        some = thumbnails(kept, shown[start : start + count], edge(terminal, width))
        _row(console, terminal, some, room)


def one(
    console: Console, terminal: Terminal, kept: Thumbnails, path: str, room: Cells
) -> ImageError | None:
    """Draw the picture at `path` alone, in at most `room`; the reason where it can't be read."""
    from clipstack.output.terminal import placement

    room = room[0], min(room[1], placement.MOST_ROWS)
    picture = thumbnails(kept, [Shown(path, "")], edge(terminal, room[0]))[0][1]
    if isinstance(picture, ImageError):
        return picture
    tile = _Tile(terminal, picture, room)
    _put(console, [tile], [tile.text(tile.cells[1])], tile.cells[1])
    return None


class _Tile:
    """One picture's place in a row."""

    def __init__(self, terminal: Terminal, picture: Pixels | ImageError, room: Cells) -> None:
        from clipstack.output.terminal import placement

        self.width = room[0]
        self.cells = room[0], max(1, room[1] // 2)
        self.over: Callable[[], str] | None = None
        self._drawn: Text | None = None
        self.sent = ""
        self._fault = ""
        if isinstance(picture, ImageError):
            self._fault = str(picture.reason)
            return
        cells = placement.fitting(picture, room, terminal.cell)
        self.cells = cells
        if terminal.protocol is Protocol.BLOCKS:
            self._drawn = placement.blocks(picture, cells)
        elif terminal.protocol is Protocol.KITTY and terminal.through_tmux:
            self.sent, self._drawn = placement.placed(terminal, picture, cells)
        else:
            self.over = lambda: placement.over(terminal, picture, cells)

    def text(self, rows: int) -> RenderableType:
        """What takes the picture's place in the text: itself, where it is made of characters."""
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.text import Text

        if self._fault:
            return Panel(
                Text(self._fault, justify="center"), width=self.width, height=rows, style="dim"
            )
        drawn = self._drawn or Text(" ")
        height = self.cells[1] if self._drawn else 1
        return Padding(drawn, (0, 0, rows - height, 0))


def _row(
    console: Console,
    terminal: Terminal,
    some: Sequence[tuple[Shown, Pixels | ImageError]],
    room: Cells,
) -> None:
    from rich.console import Group

    tiles = [_Tile(terminal, picture, room) for _, picture in some]
    rows = max(tile.cells[1] for tile in tiles)
    contents = [
        Group(tile.text(rows), *_caption(shown, room[0]))
        for tile, (shown, _) in zip(tiles, some, strict=True)
    ]
    _put(console, tiles, contents, rows + _CAPTION)
    console.print()


def _put(
    console: Console, tiles: Sequence[_Tile], contents: Sequence[RenderableType], height: int
) -> None:
    """Write `contents` beside each other, `height` lines, and then the pictures over them.

    The text comes first and makes room, so nothing scrolls while pictures are drawn. The cursor
    is put back after each, as it ends up elsewhere on every terminal.
    """
    from rich.table import Table

    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for tile in tiles:
        table.add_column(width=tile.width, no_wrap=True)
    table.add_row(*contents)
    console.file.write("".join(tile.sent for tile in tiles))
    console.print(table, crop=False, no_wrap=True)
    if not any(tile.over for tile in tiles):
        return
    write = console.file.write
    write(f"\x1b[{height}A")
    for number, tile in enumerate(tiles):
        if tile.over:
            across = number * (tile.width + _GAP)
            write("\r" + (f"\x1b[{across}C" if across else ""))
            write(f"\x1b7{tile.over()}\x1b8")
    write(f"\r\x1b[{height}B")
    console.file.flush()


def _caption(shown: Shown, width: int) -> list[Text]:
    from rich.cells import set_cell_size
    from rich.style import Style
    from rich.text import Text

    path = Path(shown.path)
    name = Text(printable(path.name), no_wrap=True, end="")
    name.truncate(width, overflow="ellipsis")
    name.stylize(Style(link=path.as_uri()))
    return [Text(set_cell_size(shown.above, width).rstrip(), style="dim", no_wrap=True), name]
