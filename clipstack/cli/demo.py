"""`clipstack demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from clipstack.cli.options import Wait
from clipstack.cli.state import announce, state_of
from clipstack.output.out import Mode


def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = Path("clipstack-demo"),
    wait: Wait = None,
) -> None:
    """See it work: make 200 pictures, import them and search, with no download."""
    state = state_of(ctx)
    from clipstack import demo as scenes
    from clipstack.ingest.importer import ImportRequest, run
    from clipstack.output import hit_views, import_views
    from clipstack.output.progress import ImportProgress
    from clipstack.search.query import Query, Term
    from clipstack.search.searcher import search

    out = state.out
    flags = {"model": scenes.MODEL, "collection": scenes.COLLECTION, "limit": 5, "wait": wait}
    settings = state.settings(**flags)
    announce(state, settings, settings.collection)
    pictures = scenes.generate(folder)
    out.note(f"{len(pictures.files)} pictures of shapes in {pictures.folder}")
    document: dict[str, Any] = {"folder": str(pictures.folder.absolute()), "searches": []}

    out.hint(f"\n$ clipstack import {pictures.folder} -c {settings.collection} -m {settings.model}")
    request = ImportRequest([str(file) for file in pictures.files], sys.stdin.buffer)
    with ImportProgress(out) as progress:
        progress.set_total(len(pictures.files))
        summary = run(settings, request, progress)
    view = import_views.imported(summary, target=settings.target, collection=settings.collection)
    document["import"] = view.json
    if out.mode is not Mode.JSON:
        out.show(view)

    for term in [*(Term(text) for text in scenes.TEXTS), Term(image=pictures.example)]:
        words = f"--image {term.image}" if term.image else f'"{term.text}"'
        out.hint(f"\n$ clipstack search {words} -c {settings.collection} -k 5")
        view = hit_views.hits(search(settings, Query((term,))), settings.target)
        document["searches"].append(view.json)
        if out.mode is not Mode.JSON:
            out.show(view)
    if out.mode is Mode.JSON:
        out.document(document)
    out.hint(
        "\nThe pictures and the collection are yours to play with. Next:\n"
        f'  clipstack search "three striped hearts" -c {settings.collection}\n'
        "  clipstack import ~/Pictures\n"
        '  clipstack search "a dog on a beach"\n'
        f"  clipstack collections drop {settings.collection}"
    )
