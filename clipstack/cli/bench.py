"""`clipstack bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipstack.cli.option_groups import expand_groups
from clipstack.cli.options import EngineOptions, Model, Option
from clipstack.cli.state import state_of


@expand_groups
def bench(
    ctx: typer.Context,
    *,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Your pictures.", show_default="drawings"),
    ] = None,
    model: Model = None,
    seconds: Annotated[
        float, Option(min=0.1, metavar="SECONDS", help="About how long to measure.")
    ] = 20.0,
    everything: Annotated[
        bool, Option("--all", help="Every engine and precision, PyTorch too.")
    ] = False,
    engine: EngineOptions,
) -> None:
    """Measure how fast this machine reads, decodes, encodes, writes and searches.

    Each stage of an import is measured alone. Nothing is imported, and nothing stays behind.
    """
    state = state_of(ctx)
    settings = state.settings(engine, model=model)
    from clipstack.bench import BenchRequest, run
    from clipstack.encoders.models import catalog
    from clipstack.output import bench_views

    info = catalog.describe(catalog.resolve(settings.model, download=False))
    if folder is None:
        state.out.note("No folder given: the pictures are drawn, and smaller than photographs")
    request = BenchRequest(folder, seconds, everything)
    state.out.show(bench_views.benchmark(run(settings, info, request, state.out)))
