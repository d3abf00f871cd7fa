"""`clipstack tag`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clipstack.cli.options import Collection, Null, Option, Wait
from clipstack.cli.state import announce, state_of
from clipstack.errors import ExitCode, UsageError


def tag(
    ctx: typer.Context,
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Pictures, folders or ids, or - for a list of them on stdin.",
            show_default=False,
        ),
    ] = None,
    add: Annotated[
        list[str] | None, Option("--add", "-a", metavar="TAG", help="Add this tag; or several.")
    ] = None,
    remove: Annotated[
        list[str] | None,
        Option("--remove", "-r", metavar="TAG", help="Remove this tag; or several."),
    ] = None,
    collection: Collection = None,
    null: Null = False,
    wait: Wait = None,
) -> None:
    """Give pictures tags of your own, which `search --tag` finds.

    Without --add and --remove it lists the pictures' tags, and without pictures all tags.
    Tags stay when a picture is imported again, and are not written into its file. A search's
    hits are tagged with `clipstack search dog -q | clipstack tag - --add dog`.
    """
    state = state_of(ctx)
    if (add or remove) and not pictures:
        raise UsageError(
            "which pictures?", hint="Name them, or pipe them in: `clipstack tag - --add TAG`."
        )
    settings = state.settings(collection=collection, wait=wait)
    from clipstack import tagging
    from clipstack.output import tag_views

    announce(state, settings, settings.collection)
    if not pictures:
        counts = tagging.count(settings, state.out)
        if not counts:
            state.out.note("No picture has a tag yet.")
        state.out.show(tag_views.tag_counts(counts), null=null)
        return
    result = tagging.tag(
        settings,
        pictures,
        sys.stdin.buffer,
        add=add or (),
        remove=remove or (),
        events=state.out,
    )
    changes = bool(add or remove)
    state.out.show(tag_views.tagged(result, settings.target, changes=changes), null=null)
    for missing in result.missing:
        state.out.warn(f"not in the collection: {missing}")
    if result.missing:
        raise typer.Exit(ExitCode.PARTIAL)
