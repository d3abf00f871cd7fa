"""`clipstack import`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from clipstack.cli.options import (
    Collection,
    Device,
    EncoderUrl,
    Engine,
    Index,
    IndexParams,
    Model,
    Option,
    Precision,
    Wait,
)
from clipstack.cli.state import announce, state_of
from clipstack.errors import ExitCode


def import_(
    ctx: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Folders, files, globs, or - for a list of paths on stdin."
        ),
    ],
    collection: Collection = None,
    model: Model = None,
    metric: Annotated[
        str | None,
        Option(
            metavar="METRIC", help="COSINE, L2 or IP, for a new collection.", show_default="COSINE"
        ),
    ] = None,
    index: Index = None,
    index_params: IndexParams = None,
    batch_size: Annotated[
        int | None, Option(min=1, metavar="N", help="Pictures encoded at once.", show_default="32")
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    fail_fast: Annotated[
        bool, Option("--fail-fast", help="Stop at the first file that fails.")
    ] = False,
    recursive: Annotated[
        bool, Option("--recursive/--no-recursive", help="Look into subfolders.")
    ] = True,
    max_pixels: Annotated[
        int | None,
        Option(min=1, metavar="N", help="Refuse larger pictures.", show_default="128 million"),
    ] = None,
    max_bytes: Annotated[
        int | None, Option(min=1, metavar="N", help="Refuse larger files.", show_default="400 MiB")
    ] = None,
    device: Device = None,
    engine: Engine = None,
    precision: Precision = None,
    encoder_url: EncoderUrl = None,
    wait: Wait = None,
    patience: Annotated[
        float | None,
        Option(
            metavar="SECONDS",
            help="Seconds to wait for a service that goes away meanwhile.",
            show_default="120",
        ),
    ] = None,
) -> None:
    """Make pictures searchable.

    Run it again whenever the folder changes: what is known already is skipped. What pictures say
    of themselves (date, camera, place, title, keywords) is kept for the filters of `search`.
    """
    state = state_of(ctx)
    flags: dict[str, Any] = {"collection": collection, "model": model, "metric": metric}
    flags |= {"batch_size": batch_size, "max_pixels": max_pixels, "max_bytes": max_bytes}
    flags |= {"encoder_url": encoder_url, "engine": engine, "precision": precision}
    flags |= {"patience": patience, "index": index, "index_params": index_params}
    settings = state.settings(**flags, device=device, wait=wait)
    from clipstack.ingest.importer import Request, run
    from clipstack.ingest.pipeline import Outcome
    from clipstack.output import import_views
    from clipstack.output.progress import DownloadProgress, ImportProgress

    announce(state, settings, settings.collection)
    request = Request(sources, sys.stdin.buffer, recursive, dry_run, fail_fast)
    with (
        DownloadProgress(state.out, settings.model) as download,
        ImportProgress(state.out) as progress,
    ):
        summary = run(settings, request, progress, download, count=state.out.animated)
    state.out.show(
        import_views.imported(
            summary, target=settings.target, collection=settings.collection, dry_run=dry_run
        )
    )
    if summary.interrupted:
        state.out.hint("Interrupted. What is imported stays; run it again to finish the rest.")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if summary.counts[Outcome.NEW] and not dry_run:
        named = f" -c {settings.collection}" if collection else ""
        state.out.hint(f'Next: clipstack search "..."{named}')
    if summary.failures:
        raise typer.Exit(ExitCode.PARTIAL)
