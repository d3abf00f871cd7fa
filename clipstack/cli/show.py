"""`clipstack show`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipstack.cli.options import Collection, Wait
from clipstack.cli.picture_options import Preview, terminal_for
from clipstack.cli.state import State, announce, state_of
from clipstack.errors import NotFoundError
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.base import Collection as IndexCollection

_MOST_COLUMNS, _MOST_ROWS = 80, 30
_ROWS_OF_TEXT = 16


def show(
    ctx: typer.Context,
    picture: Annotated[
        str,
        typer.Argument(
            metavar="PATH|ID", help="A picture's file, or its id in the index.", show_default=False
        ),
    ],
    collection: Collection = None,
    preview: Preview = None,
    wait: Wait = None,
) -> None:
    """Show one picture, what the index knows about it, and whether its file has changed."""
    state = state_of(ctx)
    from clipstack.images.file_state import file_state
    from clipstack.index.connect import connect
    from clipstack.output.picture_views import picture as view

    settings = state.settings(collection=collection, wait=wait)
    announce(state, settings, settings.collection)
    with connect(settings) as index:
        rows = index.collection(settings.collection, patience=settings.patience, events=state.out)
        row = _row(rows, picture)
    if row is None:
        raise NotFoundError(
            f"{picture}: no picture in collection {settings.collection!r}",
            hint="`clipstack search -q WORDS` lists paths; `clipstack import FOLDER` adds more.",
        )
    original = file_state(
        row["path"], size=row["size"], mtime_ns=row["mtime_ns"], digest=row["digest"]
    )
    _draw(state, settings, row["path"], preview)
    state.out.show(
        view(row, target=settings.target, collection=settings.collection, original=original)
    )


def _row(rows: IndexCollection, picture: str) -> dict[str, Any] | None:
    from clipstack.index.schema import row_id

    path = Path(picture).expanduser()
    row = rows.row(row_id(str(path.absolute())))
    if row is None and re.fullmatch(r"[0-9a-f]{32}", picture):
        row = rows.row(picture)
    return row or rows.row(row_id(str(path.resolve())))


def _draw(state: State, settings: Settings, path: str, preview: bool | None) -> None:
    terminal = terminal_for(state, settings, preview)
    if terminal is None:
        return
    from clipstack.output.terminal.grid import draw_picture
    from clipstack.thumbnail_cache import ThumbnailCache

    console = state.out.console(state.out.stdout)
    rows = max(1, min(_MOST_ROWS, console.height - _ROWS_OF_TEXT))
    room = min(_MOST_COLUMNS, console.width), rows
    fault = draw_picture(console, terminal, ThumbnailCache.from_settings(settings), path, room)
    if fault:
        state.out.warn(fault.message)
