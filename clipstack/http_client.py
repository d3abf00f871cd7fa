"""HTTP clients that use the environment's proxies, except for this machine and the stack."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from clipstack import net


def new_client(*, limits: httpx.Limits | None = None, **options: Any) -> httpx.Client:
    """A client for any URLs; `net.proxy_for` says how each of them is reached.

    Args:
        limits: of the connections.
        options: as for httpx.Client.
    """
    return httpx.Client(transport=_Transport(limits or httpx.Limits()), **options)


class _Transport(httpx.BaseTransport):
    """Sends each request by the proxy of its URL, also after a redirect.

    Args:
        limits: of the connections by each proxy.
    """

    def __init__(self, limits: httpx.Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._transports: dict[tuple[str, bool], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            UsageError: the environment names a proxy that can't be used.
        """
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(
                f"the URL must start with http:// or https://, not {request.url.scheme!r}"
            )
        proxy = net.proxy_for(str(request.url))
        # Creating a TLS context takes 50 ms.
        is_secure = request.url.scheme == "https" or proxy.startswith("https:")
        with self._lock:
            transport = self._transports.get((proxy, is_secure))
            if transport is None:
                transport = httpx.HTTPTransport(
                    verify=is_secure, limits=self._limits, proxy=proxy or None
                )
                self._transports[proxy, is_secure] = transport
        return transport.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            transport.close()
