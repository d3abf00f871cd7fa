"""Every request first, before BentoML's own layers: only those they can take go on.

BentoML keeps a set of metrics for every path it is asked for, so unknown paths, in numbers, would
fill its memory; and its access log takes headers to be UTF-8, or fails in the midst of an answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from clipstack.web import error_responses
from clipstack.web.error_responses import RequestError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/livez", "/readyz", "/healthz", "/", "/docs.json"})
"""Paths that need no token: health, and what describes the service."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestFilter:
    """Refuses unknown paths, headers that are not ASCII, and callers without the token.

    Args:
        inner: the application behind it.
        paths: those it answers.
        files: more of them, which need no token.
        token: what callers must send, or "".
    """

    def __init__(
        self, inner: Application, paths: Collection[str], files: Collection[str], token: str
    ) -> None:
        self._inner = inner
        self._open = OPEN | set(files)
        self._paths = self._open | set(paths)
        self._token = token.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestError as error:
                await error_responses.response(error)(scope, receive, send)
                return
        await self._inner(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["path"] not in self._paths:
            raise RequestError(404, "not found", "there is no such page; see /docs.json")
        if scope["method"] not in _METHODS:
            raise RequestError(405, "method", "there is no such method", {"Allow": "GET, POST"})
        for name in (b"content-type", b"content-length"):
            if not headers.get(name, b"").isascii():
                raise RequestError(415, "unsupported", f"{name.decode()} is not ASCII")
        if self._token and scope["path"] not in self._open and not self._known(headers):
            raise RequestError(
                401, "token", "a token is needed", {"WWW-Authenticate": 'Bearer realm="clipstack"'}
            )

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)
