"""The page as a Starlette application: its files, hits, facts and pictures."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clipstack import __version__
from clipstack.errors import ClipstackError, ExitCode, ImageError
from clipstack.images import formats
from clipstack.page import access_control, query_parser, serializer
from clipstack.page.access_control import AccessControl, Application
from clipstack.page.address import PageAddress
from clipstack.page.picture_files import EDGES, MEDIA_TYPE, Pictures
from clipstack.page.query_parser import GoneError
from clipstack.page.session import SearchSession
from clipstack.web.body_limits import BodyLimits
from clipstack.web.error_responses import BusyError, RequestError
from clipstack.web.request_bodies import Bodies

Handler = Callable[[Request], Awaitable[Response]]

MOST_BYTES = 64 << 20
"""Of a query picture."""
_QUESTION = BodyLimits(max_bytes=256 << 10, memory=8 << 20, patience=10.0)
_DRAWN_AT_ONCE = 2
_WRONG_TOKEN_SECONDS = 0.5
_ID = re.compile(r"[0-9a-f]{32}")
_KINDS = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
_STATUS = {
    ExitCode.NOT_FOUND: 404,
    ExitCode.UNREACHABLE: 503,
    ExitCode.TIMEOUT: 504,
    ExitCode.PREREQUISITE: 503,
}


class Page:
    """The page's endpoints.

    Args:
        desk: does the searches.
        where: the page is.
        log: told of every request that is refused, in a line.
    """

    def __init__(self, desk: SearchSession, where: PageAddress, log: Callable[[str], None]) -> None:
        self._desk = desk
        self._where = where
        self._log = log
        self._files = _files()
        self._pictures = Pictures(desk.settings)
        self._questions = Bodies(_QUESTION)
        limit = min(MOST_BYTES, desk.settings.max_bytes)
        self._query_pictures = Bodies(BodyLimits(max_bytes=limit, memory=3 * limit, patience=30.0))
        self._drawing = asyncio.Semaphore(_DRAWN_AT_ONCE)

    def application(self) -> Application:
        """The whole, with its guard in front."""
        routes = [
            Route("/", self._answered(self._file)),
            Route("/assets/{name}", self._answered(self._file)),
            Route("/session", self._answered(self._session), methods=["POST"]),
            Route("/about", self._answered(self._about)),
            Route("/search", self._answered(self._search), methods=["POST"]),
            Route("/query-pictures", self._answered(self._query_picture), methods=["POST"]),
            Route("/pictures/{collection}/{id}", self._answered(self._facts)),
            Route("/pictures/{collection}/{id}/{kind}", self._answered(self._picture)),
        ]
        made = Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={404: self._unknown, 405: self._unknown},
        )
        return AccessControl(made, self._where, self._log)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._desk.running():
            yield

    async def _file(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._files:
            raise RequestError(404, "not found", "there is no such file")
        data, tag = self._files[name]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=_KINDS[name.rpartition(".")[2]])

    async def _session(self, request: Request) -> Response:
        given = (await self._json(request, self._questions)).get("token")
        if not isinstance(given, str) or not self._where.is_token(given):
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
            raise RequestError(403, "token", "that is not the page's token")
        made = Response(status_code=204)
        made.set_cookie(
            self._where.cookie, self._where.session, httponly=True, samesite="strict", path="/"
        )
        return made

    async def _about(self, _: Request) -> Response:
        settings = self._desk.settings
        return JSONResponse(
            {
                "version": __version__,
                "target": settings.target,
                "collection": settings.collection,
                "formats": [one.name for one in formats.FORMATS],
                "upload_bytes": min(MOST_BYTES, settings.max_bytes),
                "collections": [
                    serializer.collection(one) for one in await self._desk.collections()
                ],
            }
        )

    async def _search(self, request: Request) -> Response:
        value = await self._json(request, self._questions)
        asked = query_parser.read(value, self._pictures.uploads, urls=self._where.is_private)

        async def wanted() -> bool:
            return not await request.is_disconnected()

        found = await self._desk.search(asked, wanted)
        if found is None:
            return Response(status_code=204)
        return JSONResponse(serializer.result(found, asked.limit))

    async def _query_picture(self, request: Request) -> Response:
        async with self._query_pictures.of(request) as body:
            if not body.data:
                raise RequestError(400, "empty", "the picture is empty")
            async with self._drawing:
                name, small = await asyncio.to_thread(self._pictures.keep, body.data)
        return Response(small, media_type=MEDIA_TYPE, headers={"X-Picture": name})

    async def _facts(self, request: Request) -> Response:
        return JSONResponse({"facts": serializer.facts(await self._row(request))})

    async def _picture(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in EDGES:
            raise RequestError(404, "not found", "there is no such picture")
        row = await self._row(request)
        async with self._drawing:
            if await request.is_disconnected():
                return Response(status_code=204)
            data = await asyncio.to_thread(self._pictures.rendition, row, kind)
        tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=MEDIA_TYPE, headers=headers)

    async def _row(self, request: Request) -> dict[str, Any]:
        id = request.path_params["id"]
        row = None
        if _ID.fullmatch(id):
            row = await self._desk.row(request.path_params["collection"], id)
        if row is None:
            raise RequestError(404, "not found", "there is no such picture")
        return row

    async def _json(self, request: Request, bodies: Bodies) -> dict[str, Any]:
        async with bodies.of(request) as body:
            if body.kind != "application/json":
                raise RequestError(415, "unsupported", "send application/json")
            try:
                value = json.loads(body.data)
            except (ValueError, RecursionError):
                raise RequestError(400, "json", "the body is not valid JSON") from None
        if not isinstance(value, dict):
            raise RequestError(400, "json", "the body is no JSON object")
        return value

    async def _unknown(self, request: Request, error: Exception) -> Response:
        return access_control.refused(request.scope, error, self._log)

    def _answered(self, work: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """`work` with its errors as the page reads them. What somebody typed and makes no sense is
        told to them alone; anything else is logged too."""

        async def handle(request: Request) -> Response:
            try:
                return await work(request)
            except GoneError as error:
                return access_control.answer(error)
            except (RequestError, ImageError, BusyError) as error:
                return access_control.refused(request.scope, error, self._log)
            except ClipstackError as error:
                status = _STATUS.get(error.code, 400)
                return access_control.answer(
                    RequestError(status, "search", error.message), error.hint
                )
            except Exception as error:
                self._log(f"failed {request.method} {request.url.path}: {error!r}")
                return access_control.answer(
                    RequestError(500, "failed", "something went wrong here")
                )

        return handle


def _files() -> dict[str, tuple[bytes, str]]:
    """The page's own files by name, each with its tag."""
    found = {}
    for file in (resources.files("clipstack.page") / "assets").iterdir():
        if file.name.rpartition(".")[2] in _KINDS:
            data = file.read_bytes()
            tag = hashlib.blake2b(data, digest_size=12).hexdigest()
            found[file.name] = (data, f'"{tag}"')
    return found
