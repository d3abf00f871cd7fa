"""`clipstack collections`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli.options import Index, IndexParams, Model, Option, Wait
from clipstack.cli.state import announce, state_of
from clipstack.output.out import Out
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.client import Client

app = typer.Typer(help="See, make, change and delete collections.", no_args_is_help=False)

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
    from clipstack.index import collections
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        found = collections.describe(client, name)
    out.show(views.collection(found))


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    model: Model = None,
    metric: Annotated[
        str | None, Option(metavar="METRIC", help="COSINE, L2 or IP.", show_default="COSINE")
    ] = None,
    index: Index = None,
    index_params: IndexParams = None,
    wait: Wait = None,
) -> None:
    """Make an empty collection for one model's vectors."""
    state = state_of(ctx)
    flags = {"model": model, "metric": metric, "index": index, "index_params": index_params}
    settings = state.settings(**flags, wait=wait)
    from clipstack.index import collections, indexes, upkeep
    from clipstack.output import views
    from clipstack.output.progress import DownloadProgress
    from clipstack.workspace import model_for, open_database

    announce(state, settings, collections.check_name(name))
    with (
        DownloadProgress(state.out, settings.model) as download,
        open_database(settings, create=True) as db,
    ):
        wanted = indexes.Index.of(settings.index, settings.index_params)
        indexes.check(wanted, embedded=db.client.embedded)
        collections.check_free(db.client, name)
        found = model_for(settings, None, download=True, progress=download)
        collections.create(db.client, name, found, settings.metric, wanted)
        upkeep.load(db.client, name, patience=settings.patience)
        described = collections.describe(db.client, name)
    state.out.show(views.collection(described))
    state.out.hint(f"Fill it with `clipstack import FOLDER --collection {name}`.")


@app.command("drop")
def drop(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Delete a collection with all its rows; the pictures stay."""
    from clipstack.index import collections
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        found = collections.describe(client, name)
        collections.require_own_name(found.name, name)
        named = f" and its aliases {', '.join(found.aliases)}" if found.aliases else ""
        out.confirm(f"Delete collection {name!r} with its {found.rows} rows{named}?")
        collections.drop(client, name)
    out.show(views.dropped(found))


@app.command("rename")
def rename(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    wait: Wait = None,
) -> None:
    """Give a collection another name."""
    from clipstack.index import collections
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        collections.rename(client, name, new)
        described = collections.describe(client, new)
    out.show(views.collection(described))


@app.command("load")
def load(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Bring a released collection into memory again, so that it can be searched."""
    from clipstack.index import collections, upkeep
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, settings, client):
        own = upkeep.load(client, name, patience=settings.patience)
        described = collections.describe(client, own)
    out.show(views.collection(described))


@app.command("release")
def release(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Take a collection out of Milvus' memory; its rows stay, and the next search loads it."""
    from clipstack.index import collections, upkeep
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        own = upkeep.release(client, name)
        described = collections.describe(client, own)
    out.show(views.collection(described))


@app.command("alias")
def alias(
    ctx: typer.Context,
    name: Name,
    alias: Annotated[str, typer.Argument(help="Its other name.")],
    delete: Annotated[bool, Option("--delete", help="Take the alias away.")] = False,
    wait: Wait = None,
) -> None:
    """Give a collection another name beside its own, or move that name to it."""
    from clipstack.index import collections, upkeep
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        if delete:
            upkeep.delete_alias(client, name, alias)
            before = ""
        else:
            before = upkeep.set_alias(client, name, alias)
        described = collections.describe(client, name)
    if before and before != described.name:
        out.note(f"The alias {alias} meant {before} before.")
    elif before:
        out.note(f"{alias} is an alias of {before} already.")
    out.show(views.collection(described))


@app.command("compact")
def compact(
    ctx: typer.Context,
    name: Name,
    no_wait: Annotated[bool, Option("--no-wait", help="Only start it.")] = False,
    wait: Wait = None,
) -> None:
    """Merge small segments, and let go of rows that were replaced or deleted."""
    from clipstack.index import upkeep
    from clipstack.output import views

    with _opened(ctx, name, wait) as (out, _, client):
        done = upkeep.compact(client, name, wait=not no_wait)
    out.show(views.compacted(done))
    if not done.finished:
        out.note("Milvus goes on with it by itself.")
    elif not done.merged:
        out.note("There was nothing to merge.")


@contextmanager
def _opened(
    ctx: typer.Context, name: str, wait: float | None
) -> Iterator[tuple[Out, Settings, Client]]:
    """What a command on the collection `name` works with, once it has said where that is."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.workspace import open_database

    announce(state, settings, name)
    with open_database(settings) as database:
        yield state.out, settings, database.client
