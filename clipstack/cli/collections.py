"""`clipstack collections`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli import transfer
from clipstack.cli.option_groups import expand_groups
from clipstack.cli.options import IndexOptions, Model, Option, Wait
from clipstack.cli.state import announce, state_of
from clipstack.output.out import Out
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.base import CollectionSummary, Index

app = typer.Typer(help="See, make, change and delete collections.", no_args_is_help=False)

Name = Annotated[str, typer.Argument(help="The collection's name.")]


@app.command("list")
def list_(ctx: typer.Context, wait: Wait = None) -> None:
    """List all collections, with their rows, model and metric."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index.connect import connect, index_exists
    from clipstack.output import collection_views

    announce(state, settings)
    summaries: list[CollectionSummary] = []
    if index_exists(settings):
        with connect(settings) as index:
            summaries = index.list()
    if not summaries:
        state.out.note("There are no collections yet. Make one with `clipstack import FOLDER`.")
    state.out.show(collection_views.collection_list(summaries, settings.collection))


@app.command("show")
def show(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Show what one collection holds."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        summary = index.describe(name)
    out.show(collection_views.collection_details(summary))


@app.command("create")
@expand_groups
def create(
    ctx: typer.Context,
    *,
    name: Name,
    model: Model = None,
    metric: Annotated[
        str | None, Option(metavar="METRIC", help="COSINE, L2 or IP.", show_default="COSINE")
    ] = None,
    index_options: IndexOptions,
    wait: Wait = None,
) -> None:
    """Make an empty collection for one model's vectors."""
    state = state_of(ctx)
    settings = state.settings(index_options, model=model, metric=metric, wait=wait)
    from clipstack.index.connect import connect
    from clipstack.index.naming import check_name, name_taken_error
    from clipstack.index.vector_index import VectorIndex
    from clipstack.model_selection import model_for
    from clipstack.output import collection_views
    from clipstack.output.progress import Progress

    announce(state, settings, check_name(name))
    with (
        Progress(state.out) as progress,
        connect(settings, create=True) as index,
    ):
        vector_index = VectorIndex(settings.index, settings.index_params)
        index.resolve_vector_index(vector_index)
        if index.exists(name):
            raise name_taken_error(name)
        model_info = model_for(settings, None, download=True, events=progress)
        index.create(name, model_info, settings.metric, vector_index)
        index.load(name, patience=settings.patience)
        summary = index.describe(name)
    state.out.show(collection_views.collection_details(summary))
    state.out.hint(f"Fill it with `clipstack import FOLDER --collection {name}`.")


@app.command("drop")
def drop(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Delete a collection with all its rows; the pictures stay."""
    from clipstack.index.naming import refuse_alias
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        summary = index.describe(name)
        refuse_alias(summary.name, name)
        aliases = f" and its aliases {', '.join(summary.aliases)}" if summary.aliases else ""
        out.confirm(f"Delete collection {name!r} with its {summary.rows} rows{aliases}?")
        index.drop(name)
    out.show(collection_views.dropped(summary))


@app.command("rename")
def rename(
    ctx: typer.Context,
    name: Name,
    new: Annotated[str, typer.Argument(help="The new name.")],
    wait: Wait = None,
) -> None:
    """Rename a collection."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        index.rename(name, new)
        summary = index.describe(new)
    out.show(collection_views.collection_details(summary))


@app.command("load")
def load(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Load a released collection into memory again, so that it can be searched."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, settings, index):
        own = index.load(name, patience=settings.patience)
        summary = index.describe(own)
    out.show(collection_views.collection_details(summary))


@app.command("release")
def release(ctx: typer.Context, name: Name, wait: Wait = None) -> None:
    """Release a collection from Milvus' memory; its rows stay, and the next search loads it."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        own = index.release(name)
        summary = index.describe(own)
    out.show(collection_views.collection_details(summary))


@app.command("alias")
def alias(
    ctx: typer.Context,
    name: Name,
    alias: Annotated[str, typer.Argument(help="The second name.")],
    delete: Annotated[bool, Option("--delete", help="Delete the alias.")] = False,
    wait: Wait = None,
) -> None:
    """Give a collection a second name, or move that name to it."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        if delete:
            index.delete_alias(name, alias)
            before = ""
        else:
            before = index.set_alias(name, alias)
        summary = index.describe(name)
    if before and before != summary.name:
        out.note(f"The alias {alias} meant {before} before.")
    elif before:
        out.note(f"{alias} is an alias of {before} already.")
    out.show(collection_views.collection_details(summary))


@app.command("compact")
def compact(
    ctx: typer.Context,
    name: Name,
    no_wait: Annotated[bool, Option("--no-wait", help="Only start it.")] = False,
    wait: Wait = None,
) -> None:
    """Free the space of rows that were replaced or deleted."""
    from clipstack.output import collection_views

    with _open_index(ctx, name, wait) as (out, _, index):
        result = index.compact(name, wait=not no_wait)
    out.show(collection_views.compacted(result))
    if not result.finished:
        out.note("Milvus goes on in the background.")
    elif not result.merged and not result.freed:
        out.note("There was nothing to free.")
    if result.lost:
        out.warn(
            f"{result.lost} rows with damaged vectors were deleted; import their pictures again"
        )


app.command("export")(transfer.export)
app.command("import")(transfer.import_)
app.command("copy")(transfer.copy)


@contextmanager
def _open_index(
    ctx: typer.Context, name: str, wait: float | None
) -> Iterator[tuple[Out, Settings, Index]]:
    """The output, settings and open index for a command on the collection `name`."""
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index.connect import connect

    announce(state, settings, name)
    with connect(settings) as index:
        yield state.out, settings, index
