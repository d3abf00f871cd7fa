"""The Starlette application of the search page."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from clipstack import __version__
from clipstack.errors import ClipstackError, ExitCode, ImageError
from clipstack.events import Events
from clipstack.page import filter_controls, query_parser, serializer
from clipstack.page.access_control import AccessControl, error_response, refusal
from clipstack.page.address import PageAddress
from clipstack.page.picture_files import EDGES, MEDIA_TYPE, Pictures
from clipstack.page.query_parser import GoneError
from clipstack.page.session import SearchSession
from clipstack.web.body_limits import BodyLimits
from clipstack.web.error_responses import BusyError, RequestError
from clipstack.web.request_bodies import BodyReader, parse_json

Handler = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

MAX_UPLOAD_BYTES = 64 << 20
"""Bytes of a query picture."""
_JSON_LIMITS = BodyLimits(max_bytes=256 << 10, memory=8 << 20, patience=10.0)
_MAX_RENDITIONS_AT_ONCE = 2
_WRONG_TOKEN_SECONDS = 0.5
_ID = re.compile(r"[0-9a-f]{32}")
_MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_STATUS = {
    ExitCode.NOT_FOUND: 404,
    ExitCode.UNREACHABLE: 503,
    ExitCode.TIMEOUT: 504,
    ExitCode.PREREQUISITE: 503,
}


class Page:
    """The page's endpoints.

    Args:
        session: runs the searches.
        address: the page's address.
        events: gets a warning for every refused request.
    """

    def __init__(self, session: SearchSession, address: PageAddress, events: Events) -> None:
        self._session = session
        self._address = address
        self._events = events
        self._files = _files()
        self._pictures = Pictures(session.settings)
        self._json_bodies = BodyReader(_JSON_LIMITS)
        limit = min(MAX_UPLOAD_BYTES, session.settings.max_bytes)
        upload_limits = BodyLimits(max_bytes=limit, memory=3 * limit, patience=30.0)
        self._upload_bodies = BodyReader(upload_limits)
        self._rendition_slots = asyncio.Semaphore(_MAX_RENDITIONS_AT_ONCE)

    def application(self) -> ASGIApp:
        """The application, behind its access control."""
        routes = [
            Route("/", self._catching_errors(self._file)),
            Route("/assets/{name}", self._catching_errors(self._file)),
            Route("/session", self._catching_errors(self._log_in), methods=["POST"]),
            Route("/about", self._catching_errors(self._about)),
            Route("/search", self._catching_errors(self._search), methods=["POST"]),
            Route("/query-pictures", self._catching_errors(self._query_picture), methods=["POST"]),
            Route("/pictures/{collection}/{id}", self._catching_errors(self._facts)),
            Route("/pictures/{collection}/{id}/{kind}", self._catching_errors(self._picture)),
        ]
        app = Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={404: self._http_error, 405: self._http_error},
        )
        return AccessControl(app, self._address, self._events)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._session.running():
            yield

    async def _file(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._files:
            raise RequestError(404, "not found", "there is no such file")
        media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
        return _revalidated(request, self._files[name], media_type, "no-cache")

    async def _log_in(self, request: Request) -> Response:
        token = (await self._json(request)).get("token")
        if not isinstance(token, str) or not self._address.accepts_token(token):
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
            raise RequestError(403, "token", "that is not the page's token")
        response = Response(status_code=204)
        response.set_cookie(
            self._address.cookie_name,
            self._address.cookie_value,
            httponly=True,
            samesite="strict",
            path="/",
        )
        return response

    async def _about(self, _: Request) -> Response:
        settings = self._session.settings
        return JSONResponse(
            {
                "version": __version__,
                "target": settings.target,
                "collection": settings.collection,
                "upload_bytes": min(MAX_UPLOAD_BYTES, settings.max_bytes),
                "collections": [
                    serializer.collection(summary) for summary in await self._session.collections()
                ],
            }
        )

    async def _search(self, request: Request) -> Response:
        value = await self._json(request)
        parsed = query_parser.read(value, self._pictures.uploads, urls=self._address.is_local)

        async def is_connected() -> bool:
            return not await request.is_disconnected()

        result = await self._session.search(parsed, is_connected)
        if result is None:
            return Response(status_code=204)
        return JSONResponse(serializer.search_result(result, parsed.limit))

    async def _query_picture(self, request: Request) -> Response:
        async with self._upload_bodies.read(request) as body:
            if not body.data:
                raise RequestError(400, "empty", "the picture is empty")
            async with self._rendition_slots:
                name, small = await asyncio.to_thread(self._pictures.keep, body.data)
        return Response(small, media_type=MEDIA_TYPE, headers={"X-Picture": name})

    async def _facts(self, request: Request) -> Response:
        return JSONResponse({"facts": serializer.facts(await self._row(request))})

    async def _picture(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in EDGES:
            raise RequestError(404, "not found", "there is no such picture")
        row = await self._row(request)
        async with self._rendition_slots:
            if await request.is_disconnected():
                return Response(status_code=204)
            data = await asyncio.to_thread(self._pictures.rendition, row, kind)
        return _revalidated(request, data, MEDIA_TYPE, "private, no-cache")

    async def _row(self, request: Request) -> dict[str, Any]:
        id = request.path_params["id"]
        row = None
        if _ID.fullmatch(id):
            row = await self._session.row(request.path_params["collection"], id)
        if row is None:
            raise RequestError(404, "not found", "there is no such picture")
        return row

    async def _json(self, request: Request) -> dict[str, Any]:
        async with self._json_bodies.read(request) as body:
            if body.media_type != "application/json":
                raise RequestError(415, "unsupported", "send application/json")
            value = parse_json(body)
        if not isinstance(value, dict):
            raise RequestError(400, "json", "the body is not a JSON object")
        return value

    async def _http_error(self, request: Request, error: Exception) -> Response:
        return refusal(request.scope, error, self._events)

    def _catching_errors(self, handler: Handler) -> Endpoint:
        """`handler`, with every error as a JSON response.

        Errors other than those in a query that a person typed are also reported to `events`.
        """

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except GoneError as error:
                return error_response(error)
            except (RequestError, ImageError, BusyError) as error:
                return refusal(request.scope, error, self._events)
            except ClipstackError as error:
                status = _STATUS.get(error.code, 400)
                return error_response(RequestError(status, "search", error.message), error.hint)
            except Exception as error:
                self._events.warn(f"failed {request.method} {request.url.path}: {error!r}")
                return error_response(RequestError(500, "failed", "something went wrong here"))

        return handle


def _revalidated(request: Request, data: bytes, media_type: str, cache_control: str) -> Response:
    """The response with `data`, or 304 if the browser has the same data already."""
    tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": cache_control}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)


def _files() -> dict[str, bytes]:
    """The page's static files by name."""
    files = {}
    for file in (resources.files("clipstack.page") / "assets").iterdir():
        if file.name.rpartition(".")[2] in _MEDIA_TYPES:
            files[file.name] = file.read_bytes()
    html = files["index.html"].decode()
    return files | {"index.html": filter_controls.insert_controls(html).encode()}
