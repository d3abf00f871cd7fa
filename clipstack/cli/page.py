"""`clipstack page`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.option_groups import OptionGroup, expand_groups
from clipstack.cli.options import Collection, EncoderOptions, Model, Option, SearchParams, Wait
from clipstack.cli.state import announce, state_of


class AddressOptions(OptionGroup):
    """Where the page is, and who may open it."""

    port: Annotated[
        int, Option("--port", "-p", metavar="PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8899
    host: Annotated[
        str,
        Option(
            metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets others in, with a token."
        ),
    ] = "127.0.0.1"
    token: Annotated[
        str,
        Option(
            metavar="TOKEN",
            help="A secret that browsers must send once. Better set as CLIPSTACK_PAGE_TOKEN: a "
            "command line can be read by others.",
            show_default="none on this machine, else a random one",
        ),
    ] = ""
    open_it: Annotated[bool, Option("--open", help="Open it in the browser.")] = False


@expand_groups
def page(
    ctx: typer.Context,
    *,
    options: AddressOptions,
    collection: Collection = None,
    model: Model = None,
    encoder: EncoderOptions,
    search_params: SearchParams = None,
    wait: Wait = None,
) -> None:
    """Search in the browser: serve a page on this machine until Ctrl-C."""
    state = state_of(ctx)
    settings = state.settings(
        encoder, collection=collection, model=model, search_params=search_params, wait=wait
    )
    from clipstack.output import page_views
    from clipstack.page import address, server
    from clipstack.page.session import SearchSession

    page_address = address.page_address(options.host, options.port, options.token)
    announce(state, settings, settings.collection)
    with page_views.PageProgress(state.out) as progress:
        session = SearchSession(settings, progress)
        session.open()
    listener = address.listen(page_address)
    state.out.show(page_views.page(page_address, settings))
    state.out.hint(page_views.hints(page_address))
    if options.open_it:
        import webbrowser

        # Without the token: others can read the browser's command line.
        webbrowser.open(page_address.url)
    server.serve(session, page_address, listener, progress)
