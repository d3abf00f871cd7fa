"""The page's server, until it is ended."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from clipstack.page.address import PageAddress
from clipstack.page.application import Page
from clipstack.page.session import SearchSession

_MOST_AT_ONCE = 200
_GRACE_SECONDS = 2


def serve(
    desk: SearchSession, where: PageAddress, listening: socket.socket, log: Callable[[str], None]
) -> None:
    """Serve the page until a signal ends it.

    Args:
        desk: does the searches; closed at the end.
        where: the page is.
        listening: there.
        log: told of every request that is refused, in a line.

    Raises:
        KeyboardInterrupt: Ctrl-C, once all is closed.
    """
    config = uvicorn.Config(
        Page(desk, where, log).application(),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])
