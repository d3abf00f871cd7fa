"""ASGI middleware that refuses requests of other sites and those without the token."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipstack.events import Events
from clipstack.page.address import PageAddress
from clipstack.web.error_responses import RequestError, as_json, as_request_error

PUBLIC_PATHS = ("/", "/session")
"""Paths that need no token, besides /assets/: the page and the endpoint that takes the token."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every response."""


class AccessControl:
    """Lets the page's own requests pass, and adds security headers to every response.

    Args:
        app: the ASGI application that handles allowed requests.
        address: the page's address.
        events: gets a warning for every refused request.
    """

    def __init__(self, app: ASGIApp, address: PageAddress, events: Events) -> None:
        self._app = app
        self._address = address
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check(scope)
        except RequestError as error:
            await refusal(scope, error, self._events)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._address.accepts_host(hosts[0]):
            raise RequestError(421, "host", "this is not the page that was asked for")
        _check_site(scope, headers, hosts[0])
        path: str = scope["path"]
        if (
            self._address.token
            and path not in PUBLIC_PATHS
            and not path.startswith("/assets/")
            and not self._address.accepts_cookie(_cookie(headers, self._address.cookie_name))
        ):
            raise RequestError(401, "token", "the page's token is needed")


def refusal(scope: Scope, error: Exception, events: Events) -> Response:
    """The response to a request that is refused, which is also reported to `events`."""
    request_error = as_request_error(error)
    client = (scope.get("client") or ("?", 0))[0]
    events.warn(
        f"refused {scope['method']} {scope['path']} from {client}: "
        f"{request_error.status} {request_error.message}"
    )
    return error_response(request_error)


def error_response(error: RequestError, hint: str = "") -> JSONResponse:
    """An error in the form that the page reads."""
    body = {**as_json(error), **({"hint": hint} if hint else {})}
    # The rest of a body that is refused may still arrive.
    close = {"Connection": "close"} if error.status in (408, 413) else {}
    return JSONResponse(body, error.status, {**error.headers, **close})


def _check_site(scope: Scope, headers: Headers, host: str) -> None:
    """Refuse requests that another site caused.

    Source: W3C Fetch Metadata Request Headers, and the Origin header of the Fetch standard.
    Programs other than browsers send neither.
    """
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise RequestError(403, "cross-site", "another site asked for it")
    site = headers.get("sec-fetch-site", "same-origin")
    is_navigation = (
        scope["method"] in ("GET", "HEAD")
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if site not in ("same-origin", "none") and not is_navigation:
        raise RequestError(403, "cross-site", "another site asked for it")


def _cookie(headers: Headers, name: str) -> str:
    return cookie_parser(headers.get("cookie", "")).get(name, "")
