"""Views of the settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipstack.output.out import View, printable
from clipstack.output.tables import key_value_view, new_table
from clipstack.settings import NAMES, Settings, display_value

if TYPE_CHECKING:
    from rich.console import RenderableType


def settings(loaded: Settings, *, origin: bool) -> View:
    """Every setting's value, with `origin` also where it comes from."""
    values = {name: display_value(loaded, name) for name in NAMES}
    quiet = [f"{name}={value}" for name, value in values.items()]
    if not origin:
        return key_value_view(values, quiet=quiet)
    origins = {name: loaded.origins.get(name, "default") for name in NAMES}

    def human() -> RenderableType:
        table = new_table("setting", "value", "from")
        for name, value in values.items():
            table.add_row(name, printable(str(value)), origins[name])
        return table

    return View(
        json={name: {"value": values[name], "origin": origins[name]} for name in NAMES},
        lines=[f"{name}\t{values[name]}\t{origins[name]}" for name in NAMES],
        quiet=quiet,
        human=human,
    )
