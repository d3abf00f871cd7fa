"""Decoding and batched encoding of pictures and texts, for the endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clipstack import encoders
from clipstack.encoders.base import LocalEncoder, ModelInfo
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.errors import ClipstackError
from clipstack.images.decode import Limits, decode
from clipstack.service.batching import Batcher
from clipstack.service.configuration import ServiceConfiguration
from clipstack.service.metrics import Metrics
from clipstack.web.error_responses import BusyError

if TYPE_CHECKING:
    from concurrent.futures import Future

Pixels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]

_log = logging.getLogger("bentoml.clipstack")


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector as the model gives it, float32 [dimension]; `truncated` if a text was cut off."""

    vector: Vector
    truncated: bool = False


class NotReadyError(BusyError):
    """The model is still being loaded."""

    def __init__(self) -> None:
        super().__init__("the model is being loaded", 2)


class Vectorizer:
    """A model with its decoding threads, queues and batches; belongs to one event loop.

    Args:
        configuration: limits and sizes.
        find_model: returns the model's folder; runs in the encoding thread.
        load: returns an encoder with the model loaded; runs in the encoding thread too.
    """

    def __init__(
        self,
        configuration: ServiceConfiguration,
        find_model: Callable[[], ModelFolder],
        load: Callable[[ModelInfo], LocalEncoder] = encoders.load,
    ) -> None:
        self.configuration = configuration
        self._limits = Limits(
            max_bytes=configuration.max_bytes, max_pixels=configuration.max_pixels
        )
        self._decode_executor = ThreadPoolExecutor(configuration.decode_threads, "decode")
        self._encode_executor = ThreadPoolExecutor(1, "encode")
        self._metrics = Metrics()
        self._admitted = 0
        self._encoder: LocalEncoder | None = None
        self._failure = ""
        self._loading: Future[None] = self._encode_executor.submit(self._load, find_model, load)
        self._decode_seconds = self._metrics.decode.labels("image")
        shared = (self._encode_executor, configuration.batch, self._metrics)
        self._pictures = Batcher("image", self._encode_pictures, *shared)
        self._texts = Batcher("text", self._encode_texts, *shared)

    @property
    def ready(self) -> bool:
        """Whether the model has encoded a picture and a text."""
        return self._encoder is not None

    @property
    def encoder(self) -> LocalEncoder:
        """The loaded model.

        Raises:
            NotReadyError: it is still being loaded.
            ClipstackError: it can't be loaded.
        """
        if self._failure:
            raise ClipstackError(f"the model can't be loaded: {self._failure}")
        if self._encoder is None:
            raise NotReadyError
        return self._encoder

    @property
    def info(self) -> ModelInfo:
        """The model's description; raises as `encoder`."""
        return self.encoder.info

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The context in which requests are handled."""
        runners = [asyncio.create_task(b.run()) for b in (self._pictures, self._texts)]
        try:
            yield
        finally:
            for runner in runners:
                runner.cancel()
            self._decode_executor.shutdown(wait=False, cancel_futures=True)
            self._encode_executor.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def admit(self, count: int) -> Iterator[float]:
        """The context of the work on `count` items.

        Yields:
            The loop time until which the items may wait.

        Raises:
            BusyError: the queue is full.
            NotReadyError, ClipstackError: as `encoder`.
        """
        _ = self.encoder
        if self._admitted + count > self.configuration.queue:
            retry_after = self._pictures.retry_after(self._admitted)
            raise BusyError("the service is busy: its queue is full", retry_after)
        self._admitted += count
        try:
            yield asyncio.get_running_loop().time() + self.configuration.wait
        finally:
            self._admitted -= count

    async def image(self, data: bytes, deadline: float) -> Embedding:
        """The vector of a picture file.

        Raises:
            ImageError: it can't be decoded.
            BusyError: it waited too long.
        """
        with self._pictures.preparing():
            pixels = await self._decode(data, deadline)
        return await self._pictures.submit(pixels, deadline)

    async def pixels(self, pixels: Pixels, deadline: float) -> Embedding:
        """The vector of a picture that has the model's shape, uint8 [height, width, 3] RGB.

        Raises:
            BusyError: it waited too long.
        """
        return await self._pictures.submit(pixels, deadline)

    async def text(self, text: str, deadline: float) -> Embedding:
        """The vector of a text that is not empty.

        Raises:
            BusyError: it waited too long.
        """
        return await self._texts.submit(text, deadline)

    async def _decode(self, data: bytes, deadline: float) -> Pixels:
        future = self._decode_executor.submit(self._decode_in_thread, data)
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = future.cancel()

        timer = asyncio.get_running_loop().call_at(deadline, expire)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not expired:  # the client is gone
                raise
            retry_after = self._pictures.retry_after(self._admitted)
            raise BusyError("the service is busy: the wait was too long", retry_after) from None
        finally:
            timer.cancel()

    def _decode_in_thread(self, data: bytes) -> Pixels:
        started = perf_counter()
        try:
            return decode(data, self.info.geometry, self._limits).pixels
        finally:
            self._decode_seconds.observe(perf_counter() - started)

    def _encode_pictures(self, pixels: Sequence[Pixels]) -> list[Embedding]:
        return [Embedding(vector) for vector in self.encoder.encode_images(np.stack(pixels))]

    def _encode_texts(self, texts: Sequence[str]) -> list[Embedding]:
        encoder, length = self.encoder, self.info.context_length
        vectors = encoder.encode_texts(texts)
        # A token covers at least one byte; three more mark the start, the end and a first space.
        sizes = [len(text.encode("utf-8", "replace")) for text in texts]
        long_texts = [n for n, size in enumerate(sizes) if size + 3 > length]
        counts = encoder.token_counts([texts[n] for n in long_texts]) if long_texts else []
        truncated = {n for n, count in zip(long_texts, counts, strict=True) if count > length}
        return [Embedding(vector, n in truncated) for n, vector in enumerate(vectors)]

    def _load(
        self, find_model: Callable[[], ModelFolder], load: Callable[[ModelInfo], LocalEncoder]
    ) -> None:
        try:
            started = perf_counter()
            info = describe(find_model())
            encoder = load(info)
            encoder.encode_images(np.zeros((1, *info.geometry.shape, 3), np.uint8))
            encoder.encode_texts(["a picture"])
            self._encoder = encoder
        except ClipstackError as error:
            self._failure = error.message
            _log.error("%s %s", error.message, error.hint)
        except Exception as error:
            self._failure = type(error).__name__
            _log.exception("The model can't be loaded")
        else:
            seconds = perf_counter() - started
            _log.info("Model %s is ready after %.1f s", info.name, seconds)
