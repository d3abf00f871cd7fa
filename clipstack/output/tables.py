"""Tables and lists of named values, which views are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text


def new_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these headings; those in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def path_link(path: str) -> Text:
    """`path` as a terminal hyperlink to the file."""
    from rich.style import Style
    from rich.text import Text

    return Text(printable(shortened(path)), style=Style(link=Path(path).as_uri()), overflow="fold")


def key_value_view(values: Mapping[str, Any], *, quiet: Sequence[str] = ()) -> View:
    """A few named values, one a line."""

    def human() -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        for name, value in values.items():
            grid.add_row(Text(name, style="dim"), Text(printable(str(value)), overflow="fold"))
        return grid

    return View(
        json=values,
        lines=[f"{name}\t{value}" for name, value in values.items()],
        quiet=quiet,
        human=human,
    )
