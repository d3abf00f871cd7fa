"""`clipstack models`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import state_of
from clipstack.errors import ExitCode, UsageError

app = typer.Typer(help="See and fetch the models that turn pictures and words into vectors.")

Name = Annotated[str, typer.Argument(help="`shapes` (built in), a folder, or a hub id.")]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List models on this machine, and others worth fetching."""
    state = state_of(ctx)
    from clipstack.encoders.models.catalog import RECOMMENDED, list_models
    from clipstack.encoders.openvino import int8_store
    from clipstack.output import model_views

    state.out.show(model_views.model_list(list_models(), RECOMMENDED, int8_store.stored_towers()))


@app.command("pull")
def pull(ctx: typer.Context, name: Name) -> None:
    """Fetch a model from the hub into the usual Hugging Face cache."""
    state = state_of(ctx)
    from clipstack.encoders.models import catalog
    from clipstack.output import model_views
    from clipstack.output.progress import Progress

    with Progress(state.out) as progress:
        folder = catalog.pull(name, events=progress)
    state.out.show(model_views.model_details(catalog.describe(folder)))
    state.out.hint(f"Use it with `clipstack import FOLDER --model {name}`.")


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """Show one model on this machine."""
    state = state_of(ctx)
    from clipstack.encoders.models import catalog
    from clipstack.encoders.openvino import int8_store
    from clipstack.output import model_views

    info = catalog.describe(catalog.resolve(name, download=False))
    state.out.show(model_views.model_details(info, int8_store.towers_of(info)))


@app.command("optimize")
def optimize(
    ctx: typer.Context,
    name: Name,
    calibrate: Annotated[
        str,
        Option(metavar="DIR", help="Your own pictures, at least 200 different ones."),
    ],
    precision: Annotated[str, Option(metavar="PRECISION", help="int8.")] = "int8",
) -> None:
    """Make a faster int8 version of a model, kept only if it ranks your pictures as fp32 does.

    Use it with `--precision int8`. Its vectors are not mixed with others of the model.
    """
    state = state_of(ctx)
    if precision != "int8":
        raise UsageError(f"there is nothing to optimize for {precision!r}", hint="Use int8.")
    settings = state.settings()
    from clipstack.encoders.openvino import optimization as domain
    from clipstack.output import model_views
    from clipstack.output.steps import Steps

    with Steps(state.out) as steps:
        report = domain.optimize(settings, name, calibrate, steps)
    state.out.show(model_views.optimized(report))
    for warning in model_views.optimized_warnings(report):
        state.out.warn(warning)
    if not report.accepted:
        raise typer.Exit(ExitCode.FAILED)
    state.out.hint(f"Use it with `clipstack import FOLDER --model {name} --precision int8`.")
