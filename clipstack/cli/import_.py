"""`clipstack import`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clipstack.cli.option_groups import OptionGroup, expand_groups
from clipstack.cli.options import Collection, EncoderOptions, IndexOptions, Model, Option, Wait
from clipstack.cli.state import announce, state_of
from clipstack.errors import ExitCode


class ReadingOptions(OptionGroup):
    """Which files are read, and how."""

    batch_size: Annotated[
        int | None, Option(min=1, metavar="N", help="Pictures encoded at once.", show_default="32")
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False
    fail_fast: Annotated[bool, Option("--fail-fast", help="Stop at the first file that fails.")] = (
        False
    )
    recursive: Annotated[
        bool, Option("--recursive/--no-recursive", help="Look into subfolders.")
    ] = True
    max_pixels: Annotated[
        int | None,
        Option(min=1, metavar="N", help="Refuse larger pictures.", show_default="128 million"),
    ] = None
    max_bytes: Annotated[
        int | None, Option(min=1, metavar="N", help="Refuse larger files.", show_default="400 MiB")
    ] = None


@expand_groups
def import_(
    ctx: typer.Context,
    *,
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
    index_options: IndexOptions,
    reading: ReadingOptions,
    encoder: EncoderOptions,
    wait: Wait = None,
    patience: Annotated[
        float | None,
        Option(
            metavar="SECONDS",
            help="Seconds to wait for a service that becomes unavailable.",
            show_default="120",
        ),
    ] = None,
) -> None:
    """Make pictures searchable.

    Run it again whenever the folder changes: pictures that are imported already are skipped.
    Dates, cameras, places, titles and keywords of pictures are kept for the filters of `search`.
    """
    state = state_of(ctx)
    settings = state.settings(
        index_options,
        encoder,
        collection=collection,
        model=model,
        metric=metric,
        batch_size=reading.batch_size,
        max_pixels=reading.max_pixels,
        max_bytes=reading.max_bytes,
        wait=wait,
        patience=patience,
    )
    from clipstack.ingest.importer import ImportRequest, run
    from clipstack.ingest.pipeline import Outcome
    from clipstack.output import import_views
    from clipstack.output.progress import ImportProgress

    announce(state, settings, settings.collection)
    request = ImportRequest(
        sources, sys.stdin.buffer, reading.recursive, reading.dry_run, reading.fail_fast
    )
    with ImportProgress(state.out) as progress:
        summary = run(settings, request, progress, count=state.out.animated)
    state.out.show(
        import_views.imported(
            summary,
            target=settings.target,
            collection=settings.collection,
            dry_run=reading.dry_run,
        )
    )
    if summary.interrupted:
        state.out.hint("Interrupted. What is imported stays; run it again to finish the rest.")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if summary.counts[Outcome.NEW] and not reading.dry_run:
        option = f" -c {settings.collection}" if collection else ""
        state.out.hint(f'Next: clipstack search "..."{option}')
    if summary.failures:
        raise typer.Exit(ExitCode.PARTIAL)
