"""Every request first: those from elsewhere, or without the token, are refused and logged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response

from clipstack.page.address import PageAddress
from clipstack.web import error_responses
from clipstack.web.error_responses import RequestError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/session")
"""Paths that need no token, besides the files of the page: what asks for it and takes it."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""What every answer carries."""


class AccessControl:
    """Lets through what the page itself asks for.

    Args:
        inner: the application behind it.
        where: the page is.
        log: told of every request that is refused, in a line.
    """

    def __init__(self, inner: Application, where: PageAddress, log: Callable[[str], None]) -> None:
        self._inner = inner
        self._where = where
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope)
        except RequestError as error:
            await refused(scope, error, self._log)(scope, receive, guarded)
            return
        await self._inner(scope, receive, guarded)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._where.answers_to(hosts[0]):
            raise RequestError(421, "host", "this is not the page that was asked for")
        _check_site(scope, headers, hosts[0])
        path: str = scope["path"]
        if (
            self._where.token
            and path not in OPEN
            and not path.startswith("/assets/")
            and not self._where.is_session(_cookie(headers, self._where.cookie))
        ):
            raise RequestError(401, "token", "the page's token is needed")


def refused(scope: Scope, error: Exception, log: Callable[[str], None]) -> Response:
    """The answer to a request that is not served; `log` is told why."""
    known = error_responses.described(error)
    client = (scope.get("client") or ("?", 0))[0]
    log(f"refused {scope['method']} {scope['path']} from {client}: {known.status} {known.message}")
    return answer(known)


def answer(error: RequestError, hint: str = "") -> JSONResponse:
    """An error as the page reads it. The connection ends: a body may still be on its way."""
    body = {**error_responses.as_json(error), **({"hint": hint} if hint else {})}
    closing = {"Connection": "close"} if error.status in (408, 413) else {}
    return JSONResponse(body, error.status, {**error.headers, **closing})


def _check_site(scope: Scope, headers: Headers, host: str) -> None:
    """Refuse what another site asks for. Source: Fetch Metadata Request Headers, W3C, and the
    Origin header of the Fetch standard; a program that is no browser sends neither."""
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise RequestError(403, "cross-site", "another site asked for it")
    site = headers.get("sec-fetch-site", "same-origin")
    visits = (
        scope["method"] in ("GET", "HEAD")
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if site not in ("same-origin", "none") and not visits:
        raise RequestError(403, "cross-site", "another site asked for it")


def _cookie(headers: Headers, name: str) -> str:
    return cookie_parser(headers.get("cookie", "")).get(name, "")
