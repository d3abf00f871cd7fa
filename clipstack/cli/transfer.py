"""`clipstack collections export`, `import` and `copy`: rows between collections, files, targets."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from clipstack.cli.options import Option, Wait
from clipstack.cli.state import announce, state_of
from clipstack.errors import ExitCode

Name = Annotated[str, typer.Argument(help="The collection's name.")]


def export(
    ctx: typer.Context,
    name: Name,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The file to write: .parquet or .npz.")
    ],
    wait: Wait = None,
) -> None:
    """Write all rows to a file: vectors, tags and all that is known about the pictures.

    The columns are in docs/exchange.md.
    """
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    from clipstack.index.transfer import file_export
    from clipstack.output import transfer_views
    from clipstack.output.progress import TransferProgress

    announce(state, settings, name)
    file_export.check(file)
    if Path(file).exists():
        state.out.confirm(f"Write over {file}?")
    with TransferProgress(state.out, "Exporting") as progress:
        exported = file_export.export(settings, name, file, progress)
    state.out.show(transfer_views.exported(exported, settings.target))


def import_(
    ctx: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files to read, .parquet or .npz, and globs."),
    ],
    collection: Annotated[
        str | None,
        Option(
            "--collection",
            "-c",
            metavar="NAME",
            help="The collection to import into.",
            show_default="the one the rows come from",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Whose vectors they are: `shapes` (built in), a folder, or a hub id.",
            show_default="what the file says",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        Option(
            metavar="METRIC",
            help="COSINE, L2 or IP, for a new collection.",
            show_default="what the file says, or COSINE",
        ),
    ] = None,
    wait: Wait = None,
) -> None:
    """Import rows from files that `export` or other programs wrote.

    Only the columns path and vector are needed. Rows that can't be used are counted and left out.
    """
    state = state_of(ctx)
    flags = {"collection": collection, "model": model, "metric": metric}
    settings = state.settings(**flags, wait=wait)
    from clipstack.index.transfer.file_import import import_files
    from clipstack.model_selection import model_for
    from clipstack.output import transfer_views
    from clipstack.output.progress import TransferProgress

    announce(state, settings)
    with TransferProgress(state.out, "Importing") as progress:
        named_model = partial(model_for, settings, download=True, events=progress)
        loaded = import_files(settings, files, named_model, progress)
    state.out.show(transfer_views.loaded(loaded, settings.target))
    if loaded.interrupted:
        state.out.hint("Interrupted. What is imported stays; run it again to import the rest.")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if loaded.reasons:
        raise typer.Exit(ExitCode.PARTIAL)


def copy(
    ctx: typer.Context,
    name: Name,
    to: Annotated[
        str,
        Option(
            "--to", metavar="TARGET", help="The target to copy to; see `clipstack target list`."
        ),
    ],
    new_name: Annotated[
        str | None, Option("--as", metavar="NEW", help="The copy's name.", show_default="the same")
    ] = None,
    wait: Wait = None,
) -> None:
    """Copy all rows to another target, or under another name; nothing is encoded.

    Run it again to go on after an interruption, and to copy what has changed since.
    """
    state = state_of(ctx)
    settings = state.settings(wait=wait)
    target_settings = state.settings(target=to, wait=wait)
    from clipstack.index.transfer import collection_copy
    from clipstack.output import transfer_views
    from clipstack.output.progress import TransferProgress

    announce(state, settings, name)
    with TransferProgress(state.out, "Copying") as progress:
        copied = collection_copy.copy(settings, target_settings, name, new_name or "", progress)
    state.out.show(transfer_views.copied(copied, settings.target, target_settings.target))
    if copied.interrupted:
        state.out.hint("Interrupted. What is copied stays; run it again to copy the rest.")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if copied.missing:
        state.out.warn(
            f"{copied.missing} rows were added meanwhile, or are damaged: run it again to copy "
            "what was added; `clipstack doctor` says what is damaged."
        )
        raise typer.Exit(ExitCode.PARTIAL)
