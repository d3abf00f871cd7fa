"""`clipstack models`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.state import state_of

app = typer.Typer(help="See and fetch the models that turn pictures and words into vectors.")

Name = Annotated[str, typer.Argument(help="`shapes` (built in), a folder, or a hub id.")]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Models on this machine, and others worth fetching."""
    state = state_of(ctx)
    from clipstack.encoders.models import RECOMMENDED, list_models
    from clipstack.output import model_views

    state.out.show(model_views.model_list(list_models(), RECOMMENDED))


@app.command("pull")
def pull(ctx: typer.Context, name: Name) -> None:
    """Fetch a model from the hub into the usual Hugging Face cache."""
    state = state_of(ctx)
    from clipstack.encoders import models
    from clipstack.output import model_views
    from clipstack.output.progress import DownloadProgress

    with DownloadProgress(state.out, name) as download:
        folder = models.pull(name, progress=download)
    state.out.show(model_views.model(models.describe(folder)))
    state.out.hint(f"Use it with `clipstack import FOLDER --model {name}`.")


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """What is known of one model on this machine."""
    state = state_of(ctx)
    from clipstack.encoders import models
    from clipstack.output import model_views

    state.out.show(model_views.model(models.describe(models.resolve(name, download=False))))
