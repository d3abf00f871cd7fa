"""`clipstack collections`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Model, Option, Wait
from clipstack.cli.state import announce, state_of

app = typer.Typer(help="See, make, rename and delete collections.", no_args_is_help=False)

Name = Annotated[str, typer.Argument(help="The collection's name.")]


@app.command("list")
def list_(ctx: typer.Context, wait: Wait = None) -> None:
    """All collections, with their rows, model and metric."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index import collections
    from clipstack.output import views
    from clipstack.workspace import has_database, open_database

    announce(state, settings)
    found: list[collections.Described] = []
    if has_database(settings):
        with open_database(settings) as database:
            found = collections.list_all(database.client)
    if not found:
        state.out.note("There are no collections yet. Make one with `clipstack import FOLDER`.")
    state.out.show(views.collection_list(found, settings.collection))


@app.command("show")
def show(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """What one collection holds."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index import collections
    from clipstack.output import views
    from clipstack.workspace import open_database

    announce(state, settings, name)
    with open_database(settings) as database:
        found = collections.describe(database.client, name)
    state.out.show(views.collection(found))


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    model: Model = None,
    metric: Annotated[
        str | None, Option(metavar="METRIC", help="COSINE, L2 or IP.", show_default="COSINE")
    ] = None,
    wait: Wait = None,
) -> None:
    """Make an empty collection for one model's vectors."""
    state = state_of(ctx)
    settings = state.settings(model=model, metric=metric, wait=wait)
    from clipstack.index import collections
    from clipstack.output import views
    from clipstack.output.progress import DownloadProgress
    from clipstack.workspace import model_for, open_database

    announce(state, settings, collections.check_name(name))
    with (
        DownloadProgress(state.out, settings.model) as download,
        open_database(settings, create=True) as db,
    ):
        collections.check_free(db.client, name)
        found = model_for(settings, None, download=True, progress=download)
        collections.create(db.client, name, found, settings.metric)
        described = collections.describe(db.client, name)
    state.out.show(views.collection(described))
    state.out.hint(f"Fill it with `clipstack import FOLDER --collection {name}`.")


@app.command("drop")
def drop(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Delete a collection with all its rows; the pictures stay."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index import collections
    from clipstack.output import views
    from clipstack.workspace import open_database

    announce(state, settings, name)
    with open_database(settings) as database:
        rows = collections.describe(database.client, name).rows
        state.out.confirm(f"Delete collection {name!r} with its {rows} rows?")
        collections.drop(database.client, name)
    state.out.show(views.facts_view({"dropped": name, "rows": rows}, quiet=[name]))


@app.command("rename")
def rename(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    wait: Wait = None,
) -> None:
    """Give a collection another name."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index import collections
    from clipstack.output import views
    from clipstack.workspace import open_database

    announce(state, settings, name)
    with open_database(settings) as database:
        collections.rename(database.client, name, new)
        described = collections.describe(database.client, new)
    state.out.show(views.collection(described))
