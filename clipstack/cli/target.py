"""`clipstack target`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.state import state_of

app = typer.Typer(help="Choose where the vectors live: here, in the stack, or in a cluster.")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List all targets; a star marks the one that commands use."""
    state = state_of(ctx)
    from clipstack.output import target_views
    from clipstack.settings.target_info import list_all

    state.out.show(target_views.target_list(list_all(state.settings(), config=state.config)))


@app.command("use")
def use(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The target's name.")]
) -> None:
    """Make a target the one that commands use when none is named."""
    state = state_of(ctx)
    from clipstack.output import target_views
    from clipstack.settings import target_info

    change = target_info.use(name, config=state.config)
    state.out.show(target_views.target_details(change.target))
    if change.overridden_by:
        state.out.warn(
            f"{change.overridden_by} asks for another target, which goes before this choice."
        )
    state.out.hint("See whether it answers with `clipstack health`.")


@app.command("show")
def show(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The target's name.", show_default="the current one")
    ] = None,
) -> None:
    """Show what one target stands for: its addresses and settings, and where they come from."""
    state = state_of(ctx)
    from clipstack.output import target_views
    from clipstack.settings import target_info

    loaded = state.settings(target=name) if name else state.settings()
    state.out.show(target_views.target_details(target_info.describe(loaded)))
