"""Dynamic batching: the items that wait when the encoder is free are encoded together."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

from clipstack.service.metrics import Metrics
from clipstack.web.error_responses import BusyError

Item = TypeVar("Item")
Output = TypeVar("Output")

_LINGER_SHARE = 0.5
"""Of the seconds that the last batch took."""
_MAX_LINGER = 0.05
_MAX_RETRY_AFTER = 30


@dataclass(eq=False, slots=True)
class _Entry(Generic[Item, Output]):
    item: Item
    future: asyncio.Future[Output]
    since: float


class Batcher(Generic[Item, Output]):
    """Encodes waiting items together, one batch at a time.

    There is no fixed delay: a batch starts as soon as the encoder is free. It lingers only while
    more items are being prepared (see `preparing`), at most half as long as the last batch took
    and at most 50 ms. So a single client never waits, and many clients fill batches.

    Args:
        kind: "image" or "text", for the metrics.
        encode: returns the outputs of a batch, in order; runs in `executor`.
        executor: one thread, which other batchers may share.
        max_items: items in a batch.
        metrics: where sizes and durations are recorded.
    """

    def __init__(
        self,
        kind: str,
        encode: Callable[[Sequence[Item]], Sequence[Output]],
        executor: Executor,
        max_items: int,
        metrics: Metrics,
    ) -> None:
        self._encode = encode
        self._executor = executor
        self._max_items = max_items
        self._queue_seconds = metrics.queue.labels(kind)
        self._encode_seconds = metrics.encode.labels(kind)
        self._batch_size = metrics.batch.labels(kind)
        self._waiting: deque[_Entry[Item, Output]] = deque()
        self._changed = asyncio.Event()
        self._preparing = 0
        self._last_batch = 0.0
        self._per_item = 0.0

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """A context in which an item is being prepared: a batch may linger for it."""
        self._preparing += 1
        try:
            yield
        finally:
            self._preparing -= 1
            self._changed.set()

    def retry_after(self, ahead: int) -> int:
        """Whole seconds after which `ahead` items are probably done."""
        return min(_MAX_RETRY_AFTER, max(1, math.ceil(ahead * self._per_item)))

    async def submit(self, item: Item, deadline: float) -> Output:
        """The output of one item; cancelling it takes the item out of the queue.

        Args:
            deadline: loop time by which the item's batch must have started.

        Raises:
            BusyError: the deadline passed.
            Exception: any error that `encode` raised for this item alone.
        """
        loop = asyncio.get_running_loop()
        entry: _Entry[Item, Output] = _Entry(item, loop.create_future(), perf_counter())
        self._waiting.append(entry)
        self._changed.set()
        timer = loop.call_at(deadline, self._expire, entry)
        try:
            return await entry.future
        finally:
            timer.cancel()

    def _expire(self, entry: _Entry[Item, Output]) -> None:
        if entry in self._waiting and not entry.future.done():
            error = BusyError("the service is busy: the wait was too long", self.retry_after(1))
            entry.future.set_exception(error)

    async def run(self) -> None:
        """Encode batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._linger(loop)
            batch = self._take_batch()
            if not batch:
                continue
            started = perf_counter()
            for entry in batch:
                self._queue_seconds.observe(started - entry.since)
            self._batch_size.observe(len(batch))
            items = [entry.item for entry in batch]
            outputs = await loop.run_in_executor(self._executor, self._encode_or_split, items)
            self._last_batch = perf_counter() - started
            self._per_item = self._last_batch / len(batch)
            self._encode_seconds.observe(self._last_batch)
            for entry, output in zip(batch, outputs, strict=True):
                if entry.future.done():
                    continue
                if isinstance(output, Exception):
                    entry.future.set_exception(output)
                else:
                    entry.future.set_result(output)

    async def _linger(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the first item, then a limited time for those being prepared."""
        deadline = math.inf
        while True:
            self._changed.clear()
            if self._waiting:
                if deadline == math.inf:
                    deadline = loop.time() + min(_MAX_LINGER, _LINGER_SHARE * self._last_batch)
                remaining = deadline - loop.time()
                if len(self._waiting) >= self._max_items or not self._preparing or remaining <= 0:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), remaining)
            else:
                await self._changed.wait()

    def _take_batch(self) -> list[_Entry[Item, Output]]:
        batch: list[_Entry[Item, Output]] = []
        while self._waiting and len(batch) < self._max_items:
            entry = self._waiting.popleft()
            if not entry.future.done():  # expired, or its client is gone
                batch.append(entry)
        return batch

    def _encode_or_split(self, items: Sequence[Item]) -> Sequence[Output | Exception]:
        """The outputs of a batch. If it fails, each item is encoded alone: good ones succeed."""
        try:
            return self._encode(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
        return [self._encode_or_split([item])[0] for item in items]
