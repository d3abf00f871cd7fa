"""The HTTP server of the search page."""

from __future__ import annotations

import socket

import uvicorn

from clipstack.events import Events
from clipstack.page.address import PageAddress
from clipstack.page.application import Page
from clipstack.page.session import SearchSession

_MAX_CONNECTIONS = 200
_GRACE_SECONDS = 2


def serve(
    session: SearchSession, address: PageAddress, listener: socket.socket, events: Events
) -> None:
    """Serve the page until a signal ends it.

    Args:
        session: runs the searches; closed at the end.
        address: the page's address.
        listener: a socket that listens on it.
        events: gets a warning for every refused request.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after everything is closed.
    """
    config = uvicorn.Config(
        Page(session, address, events).application(),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])
