"""Views of targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, tilde
from clipstack.output.tables import key_value_view, new_table
from clipstack.settings.target_info import Target

if TYPE_CHECKING:
    from rich.console import RenderableType


def target_list(targets: Sequence[Target]) -> View:
    """All targets."""

    def human() -> RenderableType:
        table = new_table("target", "vectors", "encoder")
        for target in targets:
            name = f"{target.name} *" if target.current else target.name
            encoder = target.encoder or ("" if target.problem else "here")
            table.add_row(name, printable(tilde(_location(target))), encoder)
        return table

    return View(
        json=[_document(target) for target in targets],
        lines=[
            f"{'*' * target.current}\t{target.name}\t{_location(target)}\t{target.encoder}"
            for target in targets
        ],
        quiet=[target.name for target in targets],
        human=human,
    )


def target_details(target: Target) -> View:
    """One target in full."""
    details = key_value_view({"target": target.name, **(target.settings or {})})
    return View(
        json=_document(target), lines=details.lines, quiet=[target.name], human=details.human
    )


def _location(target: Target) -> str:
    return target.problem or target.location


def _document(target: Target) -> dict[str, Any]:
    document = {
        "name": target.name,
        "where": target.location,
        "encoder": target.encoder,
        "current": target.current,
        "facts": target.settings,
    }
    return document | ({"problem": target.problem} if target.problem else {})
