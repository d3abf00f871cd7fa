"""`clipstack page`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import (
    Collection,
    Device,
    EncoderUrl,
    Engine,
    Model,
    Option,
    Precision,
    Wait,
)
from clipstack.cli.search_options import SearchParams
from clipstack.cli.state import announce, state_of


def page(
    ctx: typer.Context,
    port: Annotated[
        int, Option("--port", "-p", metavar="PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8899,
    host: Annotated[
        str,
        Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets others in, by a token."),
    ] = "127.0.0.1",
    token: Annotated[
        str,
        Option(
            metavar="TOKEN",
            help="What a browser must send once. Better set as CLIPSTACK_PAGE_TOKEN: a command "
            "line can be read by others.",
            show_default="none here, a made one elsewhere",
        ),
    ] = "",
    open_it: Annotated[bool, Option("--open", help="Open it in the browser.")] = False,
    collection: Collection = None,
    model: Model = None,
    device: Device = None,
    engine: Engine = None,
    precision: Precision = None,
    encoder_url: EncoderUrl = None,
    search_params: SearchParams = None,
    wait: Wait = None,
) -> None:
    """Search in the browser: serve a page on this machine until Ctrl-C."""
    state = state_of(ctx)
    settings = state.settings(
        collection=collection,
        model=model,
        device=device,
        engine=engine,
        precision=precision,
        encoder_url=encoder_url,
        search_params=search_params,
        wait=wait,
    )
    from clipstack.output import page_views
    from clipstack.output.out import printable
    from clipstack.output.progress import DownloadProgress
    from clipstack.page import address, server
    from clipstack.page.session import SearchSession

    where = address.page_address(host, port, token)
    announce(state, settings, settings.collection)
    with DownloadProgress(state.out, settings.model) as download:
        desk = SearchSession(settings, progress=download, note=state.out.note)
        desk.open()
    listening = address.listen(where)
    state.out.show(page_views.page(where, settings))
    state.out.hint(page_views.hints(where))
    if open_it:
        import webbrowser

        webbrowser.open(where.url)  # without the token: others can read the browser's command line
    server.serve(desk, where, listening, lambda line: state.out.warn(printable(line)))
