"""Targets in, views of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, tilde
from clipstack.output.tables import key_value_view, new_table
from clipstack.settings.target_info import Target

if TYPE_CHECKING:
    from rich.console import RenderableType


def target_list(found: Sequence[Target]) -> View:
    """All targets."""

    def human() -> RenderableType:
        shown = new_table("target", "vectors", "encoder")
        for one in found:
            name = f"{one.name} *" if one.current else one.name
            where = one.problem or tilde(one.where)
            shown.add_row(name, printable(where), one.encoder or ("" if one.problem else "here"))
        return shown

    return View(
        json=[_document(one) for one in found],
        lines=[
            "\t".join(["*" if one.current else "", one.name, one.problem or one.where, one.encoder])
            for one in found
        ],
        quiet=[one.name for one in found],
        human=human,
    )


def target(one: Target) -> View:
    """One target in full."""
    shown = key_value_view({"target": one.name, **(one.facts or {})})
    return View(json=_document(one), lines=shown.lines, quiet=[one.name], human=shown.human)


def _document(one: Target) -> dict[str, Any]:
    facts = asdict(one)
    if not one.problem:
        del facts["problem"]
    return facts
