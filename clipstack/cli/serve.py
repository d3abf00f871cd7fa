"""`clipstack serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.option_groups import expand_groups
from clipstack.cli.options import EngineOptions, Option
from clipstack.cli.state import model_folder, state_of


@expand_groups
def serve(
    ctx: typer.Context,
    *,
    port: Annotated[
        int, Option("--port", "-p", metavar="PORT", min=1, max=65535, help="Port to listen on.")
    ] = 3000,
    host: Annotated[
        str, Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="What to serve: `shapes`, a folder, or a hub id.",
            show_default="the setting",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Option(min=1, metavar="N", help="Processes, each with its own model.", show_default="1"),
    ] = None,
    engine: EngineOptions,
) -> None:
    """Run the HTTP service here until Ctrl-C: pictures and texts in, vectors out."""
    state = state_of(ctx)
    settings = state.settings(engine, model=model)
    from clipstack.output import serve_views
    from clipstack.stack import local_service

    folder = model_folder(state, settings)
    service = local_service.prepare(
        folder,
        host,
        port,
        workers,
        device=settings.device,
        engine=settings.engine,
        precision=settings.precision,
    )
    state.out.show(serve_views.serving(service))
    state.out.hint(serve_views.hints(service))
    local_service.run(service)
