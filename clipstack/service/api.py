"""HTTP requests in, vectors out: the service's own endpoints as a Starlette application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clipstack import __version__
from clipstack.service import openapi, responses
from clipstack.service.vectorizer import Embedding, Vectorizer
from clipstack.web import error_responses, request_bodies
from clipstack.web.error_responses import RequestError
from clipstack.web.request_bodies import Bodies

Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class Api:
    """The endpoints; `vectorizer` must be set before the application starts."""

    vectorizer: Vectorizer

    def application(self) -> Starlette:
        """What BentoML mounts."""
        posts: dict[str, Handler] = {
            "/vectorize": self._image,
            "/vectorize_image": self._image,
            "/vectorize_images": self._images,
            "/vectorize_text": self._text,
            "/vectorize_texts": self._texts,
        }
        routes = [Route(path, _answered(work), methods=["POST"]) for path, work in posts.items()]
        routes.append(Route("/model", _answered(self._model), methods=["GET"]))
        routes.append(Route("/docs.json", self._docs, methods=["GET"]))
        return Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _refused},
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._bodies = Bodies(self.vectorizer.options.bodies)
        async with self.vectorizer.running():
            yield

    async def _image(self, request: Request) -> Response:
        info = self.vectorizer.info
        async with self._bodies.of(request) as body:
            data = body.data
            if body.kind.startswith("multipart/"):
                found = request_bodies.parts(body, 2)
                if len(found) > 1:
                    message = "one picture at a time; send several to /vectorize_images"
                    raise RequestError(400, "multipart", message)
                data = found[0]
            with self.vectorizer.admitted(1) as deadline:
                result = await _connected(request, self.vectorizer.image(data, deadline))
        return responses.one(request, result, info.fingerprint, info.context_length)

    async def _images(self, request: Request) -> Response:
        info, most = self.vectorizer.info, self.vectorizer.options.max_items
        async with self._bodies.of(request) as body:
            if body.kind == request_bodies.NPY:
                pixels = request_bodies.pixels(body, info.geometry.shape, most)
                with self.vectorizer.admitted(len(pixels)) as deadline:
                    work = [self.vectorizer.pixels(one, deadline) for one in pixels]
                    results = await _connected(request, _together(work))
            elif body.kind.startswith("multipart/"):
                files = await asyncio.to_thread(request_bodies.parts, body, most)
                with self.vectorizer.admitted(len(files)) as deadline:
                    work = [self.vectorizer.image(data, deadline) for data in files]
                    results = await _connected(request, _together(work))
            else:
                message = f"send multipart/form-data or {request_bodies.NPY}"
                raise RequestError(415, "unsupported", message)
        return self._many(request, results)

    async def _text(self, request: Request) -> Response:
        info = self.vectorizer.info
        async with self._bodies.of(request) as body:
            text = request_bodies.checked_text(
                request_bodies.text(body), self.vectorizer.options.max_text
            )
        with self.vectorizer.admitted(1) as deadline:
            result = await _connected(request, self.vectorizer.text(text, deadline))
        return responses.one(request, result, info.fingerprint, info.context_length)

    async def _texts(self, request: Request) -> Response:
        options = self.vectorizer.options
        _ = self.vectorizer.info
        async with self._bodies.of(request) as body:
            items = request_bodies.texts(body, options.max_items)

        async def one(item: object, deadline: float) -> Embedding:
            return await self.vectorizer.text(
                request_bodies.checked_text(item, options.max_text), deadline
            )

        with self.vectorizer.admitted(len(items)) as deadline:
            work = [one(item, deadline) for item in items]
            results = await _connected(request, _together(work))
        return self._many(request, results)

    def _many(self, request: Request, results: Sequence[responses.Result]) -> Response:
        info = self.vectorizer.info
        return responses.many(
            request, results, info.fingerprint, info.dimension, info.context_length
        )

    async def _model(self, _: Request) -> Response:
        encoder, options = self.vectorizer.encoder, self.vectorizer.options
        info = encoder.info
        return JSONResponse(
            {
                "id": info.name,
                "revision": info.revision,
                "fingerprint": info.fingerprint,
                "dimension": info.dimension,
                "engine": encoder.engine,
                "precision": encoder.precision,
                "family": info.family,
                "geometry": asdict(info.geometry),
                "limits": {
                    "tokens": info.context_length,
                    "text_bytes": options.max_text,
                    "body_bytes": options.max_bytes,
                    "pixels": options.max_pixels,
                    "items": options.max_items,
                },
                "clipstack": __version__,
            }
        )

    async def _docs(self, _: Request) -> Response:
        return JSONResponse(openapi.document(self.vectorizer.options.max_items))


def _answered(work: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """`work` with every error answered in JSON.

    A caller who hung up is answered too: BentoML's time limit waits for an answer to begin.
    """

    async def handle(request: Request) -> Response:
        try:
            return await work(request)
        except Exception as error:
            return error_responses.response(error)

    return handle


def _refused(_: Request, error: Exception) -> Response:
    return error_responses.response(error)


async def _connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """`work`, which ends when its caller hangs up. The body must have been read.

    Raises:
        RequestError: the caller hung up.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError(400, "cut off", "the caller hung up")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _together(work: Sequence[Coroutine[Any, Any, Embedding]]) -> list[responses.Result]:
    """Each item's vector or its own error; what concerns the service ends all.

    Raises:
        BusyError, ClipstackError: an item waited too long, or the encoder failed.
    """

    async def one(item: Coroutine[Any, Any, Embedding]) -> responses.Result:
        try:
            return await item
        except Exception as error:
            known = error_responses.described(error)
            if known.status >= 500:
                raise
            return known

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in work]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
