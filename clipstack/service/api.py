"""The service's own endpoints, as a Starlette application."""

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
from clipstack.web import request_bodies
from clipstack.web.error_responses import RequestError, as_request_error, error_response
from clipstack.web.request_bodies import BodyReader

Handler = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


class Api:
    """The endpoints; `vectorizer` must be set before the application starts."""

    vectorizer: Vectorizer

    def application(self) -> Starlette:
        """The application that BentoML mounts."""
        posts: dict[str, Handler] = {
            "/vectorize": self._image,
            "/vectorize_image": self._image,
            "/vectorize_images": self._images,
            "/vectorize_text": self._text,
            "/vectorize_texts": self._texts,
        }
        routes = [
            Route(path, _catching_errors(handler), methods=["POST"])
            for path, handler in posts.items()
        ]
        routes.append(Route("/model", _catching_errors(self._model), methods=["GET"]))
        routes.append(Route("/docs.json", self._docs, methods=["GET"]))
        return Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _http_error},
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._bodies = BodyReader(self.vectorizer.configuration.body_limits)
        async with self.vectorizer.running():
            yield

    async def _image(self, request: Request) -> Response:
        info = self.vectorizer.info
        async with self._bodies.read(request) as body:
            data = body.data
            if body.media_type.startswith("multipart/"):
                files = request_bodies.multipart_files(body, 2)
                if len(files) > 1:
                    message = "one picture at a time; send several to /vectorize_images"
                    raise RequestError(400, "multipart", message)
                data = files[0]
            with self.vectorizer.admit(1) as deadline:
                embedding = await _while_connected(request, self.vectorizer.image(data, deadline))
        return responses.single(request, embedding, info)

    async def _images(self, request: Request) -> Response:
        info, max_items = self.vectorizer.info, self.vectorizer.configuration.max_items
        async with self._bodies.read(request) as body:
            if body.media_type == request_bodies.NPY:
                pixels = request_bodies.pixels(body, info.geometry.shape, max_items)
                with self.vectorizer.admit(len(pixels)) as deadline:
                    work = [self.vectorizer.pixels(image, deadline) for image in pixels]
                    outcomes = await _while_connected(request, _gather(work))
            elif body.media_type.startswith("multipart/"):
                files = await asyncio.to_thread(request_bodies.multipart_files, body, max_items)
                with self.vectorizer.admit(len(files)) as deadline:
                    work = [self.vectorizer.image(data, deadline) for data in files]
                    outcomes = await _while_connected(request, _gather(work))
            else:
                message = f"send multipart/form-data or {request_bodies.NPY}"
                raise RequestError(415, "unsupported", message)
        return responses.batch(request, outcomes, info)

    async def _text(self, request: Request) -> Response:
        info = self.vectorizer.info
        async with self._bodies.read(request) as body:
            text = request_bodies.checked_text(
                request_bodies.text(body), self.vectorizer.configuration.max_text
            )
        with self.vectorizer.admit(1) as deadline:
            embedding = await _while_connected(request, self.vectorizer.text(text, deadline))
        return responses.single(request, embedding, info)

    async def _texts(self, request: Request) -> Response:
        configuration = self.vectorizer.configuration
        info = self.vectorizer.info
        async with self._bodies.read(request) as body:
            items = request_bodies.texts(body, configuration.max_items)

        async def embed(item: object, deadline: float) -> Embedding:
            text = request_bodies.checked_text(item, configuration.max_text)
            return await self.vectorizer.text(text, deadline)

        with self.vectorizer.admit(len(items)) as deadline:
            work = [embed(item, deadline) for item in items]
            outcomes = await _while_connected(request, _gather(work))
        return responses.batch(request, outcomes, info)

    async def _model(self, _: Request) -> Response:
        encoder, configuration = self.vectorizer.encoder, self.vectorizer.configuration
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
                    "text_bytes": configuration.max_text,
                    "body_bytes": configuration.max_bytes,
                    "pixels": configuration.max_pixels,
                    "items": configuration.max_items,
                },
                "clipstack": __version__,
            }
        )

    async def _docs(self, _: Request) -> Response:
        return JSONResponse(openapi.document(self.vectorizer.configuration.max_items))


def _catching_errors(handler: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """`handler`, with every error as a JSON response.

    A client that disconnected is answered too: BentoML's timeout waits for a response to begin.
    """

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            return error_response(error)

    return handle


def _http_error(_: Request, error: Exception) -> Response:
    return error_response(error)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client disconnects.

    Args:
        request: its body must have been read.

    Raises:
        RequestError: the client disconnected.
    """
    task = asyncio.create_task(work)
    disconnect = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait((task, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError(400, "cut off", "the client disconnected")
        return task.result()
    finally:
        disconnect.cancel()
        task.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _gather(work: Sequence[Coroutine[Any, Any, Embedding]]) -> list[responses.Outcome]:
    """Each item's embedding or its own error; an error of the service itself ends them all.

    Raises:
        BusyError: an item waited too long.
        ClipstackError: the encoder failed.
    """

    async def outcome(item: Coroutine[Any, Any, Embedding]) -> responses.Outcome:
        try:
            return await item
        except Exception as error:
            request_error = as_request_error(error)
            if request_error.status >= 500:
                raise
            return request_error

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(outcome(item)) for item in work]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
