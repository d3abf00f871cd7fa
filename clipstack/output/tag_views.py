"""Views of tags and of the pictures that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipstack.output.out import View, printable
from clipstack.output.tables import new_table, path_link

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.tagging import TagResult

_MOST_ROWS = 20


def tagged(result: TagResult, target: str, *, changes: bool) -> View:
    """Pictures with their tags, after `changes` or as they are."""
    changed = len(result.changed)

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        table = new_table("path", "tags")
        for picture in result.pictures[:_MOST_ROWS]:
            table.add_row(path_link(picture.path), printable(", ".join(picture.tags)))
        more = len(result.pictures) - _MOST_ROWS
        ending = [f"... and {more} more; --json lists them all"] if more > 0 else []
        if changes:
            ending.append(f"{changed} changed, {len(result.pictures) - changed} as they were")
        return Group(table, *(Text(line, style="dim") for line in ending))

    return View(
        json={
            "target": target,
            "collection": result.collection,
            "changed": changed,
            "pictures": [
                {
                    "id": picture.id,
                    "path": picture.path,
                    "tags": list(picture.tags),
                    "changed": picture.id in result.changed,
                }
                for picture in result.pictures
            ],
            "missing": result.missing,
        },
        lines=[f"{picture.path}\t{', '.join(picture.tags)}" for picture in result.pictures],
        quiet=[picture.path for picture in result.pictures],
        human=human if result.pictures else None,
    )


def tag_counts(tags: Sequence[tuple[str, int]]) -> View:
    """Every tag with the number of its pictures."""

    def human() -> RenderableType:
        table = new_table("tag", "pictures", right=("pictures",))
        for tag, count in tags:
            table.add_row(printable(tag), str(count))
        return table

    return View(
        json=[{"tag": tag, "pictures": count} for tag, count in tags],
        lines=[f"{tag}\t{count}" for tag, count in tags],
        quiet=[tag for tag, _ in tags],
        human=human if tags else None,
    )
