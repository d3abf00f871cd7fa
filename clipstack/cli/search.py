"""`clipstack search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipstack.cli.options import (
    Collection,
    Device,
    EncoderUrl,
    Engine,
    Model,
    Null,
    Option,
    Precision,
    Wait,
)
from clipstack.cli.state import announce, state_of


def search(
    ctx: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="What to look for, in words.", show_default=False),
    ] = None,
    image: Annotated[
        Path | None,
        Option("--image", "-i", help="Look for pictures like this one.", metavar="FILE"),
    ] = None,
    limit: Annotated[
        int | None, Option("--limit", "-k", metavar="N", help="How many hits.", show_default="10")
    ] = None,
    collection: Collection = None,
    min_score: Annotated[
        float | None,
        Option(
            metavar="SCORE", help="Leave out worse hits: lower scores; for L2, greater distances."
        ),
    ] = None,
    under: Annotated[
        Path | None, Option(help="Only pictures in this folder or below.", metavar="DIR")
    ] = None,
    null: Null = False,
    model: Model = None,
    device: Device = None,
    engine: Engine = None,
    precision: Precision = None,
    encoder_url: EncoderUrl = None,
    search_params: Annotated[
        str | None, Option(metavar="PARAMS", help="Parameters of the index, such as ef=128.")
    ] = None,
    wait: Wait = None,
) -> None:
    """Find pictures by words, or by a picture."""
    state = state_of(ctx)
    from clipstack.search import Filters, Query, Term, check_limit
    from clipstack.search import search as run

    if limit is not None:
        check_limit(limit)
    settings = state.settings(
        collection=collection,
        limit=limit,
        model=model,
        device=device,
        engine=engine,
        precision=precision,
        encoder_url=encoder_url,
        search_params=search_params,
        wait=wait,
    )
    from clipstack.output import views
    from clipstack.output.out import Mode
    from clipstack.output.progress import DownloadProgress

    query = Query(
        (Term(" ".join(text or []), image),),
        Filters(under=str(under.expanduser().absolute()) if under else None),
        min_score,
    )
    query.check()
    announce(state, settings, settings.collection)
    with DownloadProgress(state.out, settings.model) as download:
        result = run(settings, query, progress=download, note=state.out.note)
    if result.collection.metric == "L2":
        state.out.note(views.L2_NOTE)
    metric = result.collection.metric
    if not result.hits:
        state.out.note("No picture fits.")
    elif state.out.mode is not Mode.HUMAN:  # a table says it itself
        state.out.note(f"Score: {metric}, {views.better(metric)} is better.")
    state.out.detail(f"{result.seconds:.2f} s, model {result.collection.model}")
    state.out.show(views.hits(result, settings.target), null=null)
