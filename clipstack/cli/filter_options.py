"""The filter options of a command in, Filters out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from clipstack.cli.options import Option

if TYPE_CHECKING:
    from clipstack.search import Filters

_PANEL = "Only pictures that"

Under = Annotated[
    Path | None,
    Option(help="lie in this folder or below.", metavar="DIR", rich_help_panel=_PANEL),
]
Since = Annotated[
    str | None,
    Option(
        help="were taken then or later: 2024, 2024-05, 2024-05-01 or 2024-05-01T12:30.",
        metavar="DATE",
        rich_help_panel=_PANEL,
    ),
]
Until = Annotated[
    str | None,
    Option(
        help="were taken then or before; 2024-05 takes in all of May.",
        metavar="DATE",
        rich_help_panel=_PANEL,
    ),
]
Camera = Annotated[
    str | None,
    Option(
        help='were taken with a camera of this name, or these words of it: "canon".',
        metavar="NAME",
        rich_help_panel=_PANEL,
    ),
]
Format = Annotated[
    str | None,
    Option("--format", help="are JPEG, PNG, ...", metavar="FORMAT", rich_help_panel=_PANEL),
]
MinWidth = Annotated[
    int | None,
    Option(min=1, help="are this wide.", metavar="PIXELS", rich_help_panel=_PANEL),
]
MinHeight = Annotated[
    int | None,
    Option(min=1, help="are this high.", metavar="PIXELS", rich_help_panel=_PANEL),
]
Tags = Annotated[
    list[str] | None,
    Option(
        "--tag",
        help="have this tag, from `clipstack tag`, or keyword. Again for one more.",
        metavar="TAG",
        rich_help_panel=_PANEL,
    ),
]
Near = Annotated[
    str | None,
    Option(
        help="were taken this many km around a place: 48.14,11.58,20.",
        metavar="LAT,LON,KM",
        rich_help_panel=_PANEL,
    ),
]
Expr = Annotated[
    str | None,
    Option(
        "--filter",
        help="this filter is true of: 'width > height and title like \"Rome%\"'.",
        metavar="EXPR",
        rich_help_panel=_PANEL,
    ),
]


def filters_of(
    *,
    under: Path | None = None,
    since: str | None = None,
    until: str | None = None,
    camera: str | None = None,
    format: str | None = None,
    min_width: int | None = None,
    min_height: int | None = None,
    tags: list[str] | None = None,
    near: str | None = None,
    expr: str | None = None,
) -> Filters:
    """Filters from the options above.

    Raises:
        UsageError: one of them is wrong.
    """
    from clipstack.search import Filters

    return Filters.of(
        under=str(under.expanduser().absolute()) if under else None,
        since=since or "",
        until=until or "",
        camera=camera or "",
        format=format or "",
        min_width=min_width or 0,
        min_height=min_height or 0,
        tags=tuple(tags or ()),
        near=near or "",
        expr=expr or "",
    )
