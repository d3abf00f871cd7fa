"""`clipstack config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipstack import settings as layers
from clipstack.cli.options import Option
from clipstack.cli.state import state_of
from clipstack.errors import ClipstackError

app = typer.Typer(help="See where settings come from, and write a file for them.")


@app.command("show")
def show(
    ctx: typer.Context,
    origin: Annotated[bool, Option("--origin", help="Show where each value comes from.")] = False,
) -> None:
    """Show the settings in force."""
    state = state_of(ctx)
    from clipstack.output import settings_views

    loaded = state.settings()
    state.out.show(settings_views.settings(loaded, origin=origin))


@app.command("path")
def path(ctx: typer.Context) -> None:
    """Show where settings, data and caches are."""
    state = state_of(ctx)
    from clipstack.output.tables import key_value_view

    project = layers.project_file()
    facts = {
        "user": str(layers.user_file()),
        "project": str(project) if project else "",
        "data": str(layers.data_dir()),
        "cache": str(layers.cache_dir()),
    }
    state.out.show(key_value_view(facts, quiet=[value for value in facts.values() if value]))


@app.command("init")
def init(
    ctx: typer.Context,
    user: Annotated[
        bool, Option("--user", help="The user's file instead of this folder's.")
    ] = False,
) -> None:
    """Write a settings file with every setting explained, all commented out."""
    state = state_of(ctx)
    from clipstack.output.tables import key_value_view

    path = layers.user_file() if user else Path.cwd() / layers.PROJECT_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(layers.template())
    except FileExistsError:
        raise ClipstackError(
            f"{path} is there already", hint="Edit it, or move it away first."
        ) from None
    except OSError as error:
        raise ClipstackError(f"{path}: can't be written ({error.strerror})") from None
    state.out.show(key_value_view({"written": str(path)}, quiet=[str(path)]))
