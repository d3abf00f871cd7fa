"""Models in, views of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.models import ListedModel
from clipstack.output.out import View
from clipstack.output.views import facts_view, table

if TYPE_CHECKING:
    from rich.console import RenderableType


def model_list(found: Sequence[ListedModel], recommended: Mapping[str, str]) -> View:
    """Models at hand, and recommended ones that are not."""
    here = {one.name for one in found}
    others = {name: note for name, note in recommended.items() if name not in here}

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        shown = table("model", "size", "family", "dimension", "revision", right=("size",))
        for one in found:
            state = one.revision[:12] if not one.problem else f"incomplete: {one.problem}"
            dimension = str(one.dimension or "")
            shown.add_row(one.name, f"{one.size / 1e6:.0f} MB", one.family, dimension, state)
        more = table("others to fetch with `clipstack models pull`", "")
        for name, note in others.items():
            more.add_row(name, Text(note, style="dim"))
        return Group(shown, more) if others else shown

    return View(
        json={
            "models": [_listed(one) for one in found],
            "recommended": [{"name": name, "note": note} for name, note in others.items()],
        },
        lines=[
            "\t".join([one.name, str(one.size), one.family, str(one.dimension), one.revision])
            for one in found
        ],
        quiet=[one.name for one in found],
        human=human,
    )


def _listed(one: ListedModel) -> dict[str, Any]:
    return {
        "name": one.name,
        "source": one.source,
        "revision": one.revision,
        "family": one.family,
        "dimension": one.dimension,
        "bytes": one.size,
        "folder": str(one.folder),
        "problem": one.problem,
    }


def model(info: ModelInfo) -> View:
    """One model in full."""
    geometry = info.geometry
    height, width = geometry.shape
    facts = {
        "name": info.name,
        "revision": info.revision,
        "family": info.family,
        "dimension": info.dimension,
        "pixels": f"{width}x{height}",
        "resize": geometry.resize,
        "context_length": info.context_length,
        "fingerprint": info.fingerprint,
        "folder": str(info.folder),
    }
    return facts_view(facts, quiet=[str(info.folder)])
