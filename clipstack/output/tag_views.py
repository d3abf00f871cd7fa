"""Pictures and their tags in, views of them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipstack.output.out import View, printable
from clipstack.output.tables import new_table, path_link

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.tagging import TagResult

_SHOWN = 20


def tagged(result: TagResult, target: str, *, changes: bool) -> View:
    """Pictures with their tags, after `changes` or as they are."""
    changed = len(result.changed)

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        shown = new_table("path", "tags")
        for one in result.pictures[:_SHOWN]:
            shown.add_row(path_link(one.path), printable(", ".join(one.tags)))
        more = len(result.pictures) - _SHOWN
        ending = [f"... and {more} more; --json lists them all"] if more > 0 else []
        if changes:
            ending.append(f"{changed} changed, {len(result.pictures) - changed} as they were")
        return Group(shown, *(Text(line, style="dim") for line in ending))

    return View(
        json={
            "target": target,
            "collection": result.collection,
            "changed": changed,
            "pictures": [
                {
                    "id": one.id,
                    "path": one.path,
                    "tags": list(one.tags),
                    "changed": one.id in result.changed,
                }
                for one in result.pictures
            ],
            "missing": result.missing,
        },
        lines=[f"{one.path}\t{', '.join(one.tags)}" for one in result.pictures],
        quiet=[one.path for one in result.pictures],
        human=human if result.pictures else None,
    )


def counts(found: Sequence[tuple[str, int]]) -> View:
    """Every tag and on how many pictures."""

    def human() -> RenderableType:
        shown = new_table("tag", "pictures", right=("pictures",))
        for tag, count in found:
            shown.add_row(printable(tag), str(count))
        return shown

    return View(
        json=[{"tag": tag, "pictures": count} for tag, count in found],
        lines=[f"{tag}\t{count}" for tag, count in found],
        quiet=[tag for tag, _ in found],
        human=human if found else None,
    )
