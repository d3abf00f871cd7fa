"""ASGI middleware around all of BentoML: only requests that BentoML can handle pass.

BentoML keeps metrics for every path that is requested, so many unknown paths would fill its
memory; and its access log decodes headers as UTF-8, and fails in the middle of a response if they
are not.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from clipstack.web.error_responses import RequestError, error_response

PUBLIC_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/", "/docs.json"})
"""Paths that need no token: health, and what describes the service."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestFilter:
    """Refuses unknown paths, headers that are not ASCII, and clients without the token.

    Args:
        app: the ASGI application that handles the other requests.
        paths: the paths that `app` handles.
        static_files: paths of more files, which need no token.
        token: the bearer token that clients must send, or "".
    """

    def __init__(
        self, app: ASGIApp, paths: Collection[str], static_files: Collection[str], token: str
    ) -> None:
        self._app = app
        self._public_paths = PUBLIC_PATHS | set(static_files)
        self._paths = self._public_paths | set(paths)
        self._token = token.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        path: str = scope["path"]
        if path not in self._paths:
            raise RequestError(404, "not found", "there is no such page; see /docs.json")
        if scope["method"] not in _METHODS:
            raise RequestError(405, "method", "there is no such method", {"Allow": "GET, POST"})
        for name in (b"content-type", b"content-length"):
            if not headers.get(name, b"").isascii():
                raise RequestError(415, "unsupported", f"{name.decode()} is not ASCII")
        if self._token and path not in self._public_paths and not self._is_authorized(headers):
            raise RequestError(
                401, "token", "a token is needed", {"WWW-Authenticate": 'Bearer realm="clipstack"'}
            )

    def _is_authorized(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
