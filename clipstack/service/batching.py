"""Items that wait in, their results out: what waits when the encoder is free goes together."""

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
Result = TypeVar("Result")

_LINGER_SHARE = 0.5
_LINGER_MOST = 0.05
_MOST_RETRY = 30


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    since: float


class Batcher(Generic[Item, Result]):
    """Encodes what waits together, one batch at a time.

    There is no fixed delay: a batch leaves as soon as the encoder is free, and only while more
    items are known to be on their way (see `coming`) it lingers for them, at most half as long as
    the last batch took and at most 50 ms. So one caller alone never waits, and many fill batches.

    Args:
        kind: "image" or "text", for the metrics.
        encode: the results of a batch, in order; runs in `executor`.
        executor: one thread, which other batchers may share.
        most: items in a batch.
    """

    def __init__(
        self,
        kind: str,
        encode: Callable[[Sequence[Item]], Sequence[Result]],
        executor: Executor,
        most: int,
        metrics: Metrics,
    ) -> None:
        self._encode = encode
        self._executor = executor
        self._most = most
        self._queue_seconds = metrics.queue.labels(kind)
        self._encode_seconds = metrics.encode.labels(kind)
        self._batch_size = metrics.batch.labels(kind)
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._changed = asyncio.Event()
        self._coming = 0
        self._last_batch = 0.0
        self._per_item = 0.0

    @contextlib.contextmanager
    def coming(self) -> Iterator[None]:
        """Around the making of an item: a batch may linger for it."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._changed.set()

    def retry_after(self, ahead: int) -> int:
        """Whole seconds after which `ahead` items are likely done."""
        return min(_MOST_RETRY, max(1, math.ceil(ahead * self._per_item)))

    async def submit(self, item: Item, deadline: float) -> Result:
        """The result of one item; cancelling it takes the item out of the queue.

        Args:
            deadline: loop time until which the item may wait for its batch to start.

        Raises:
            BusyError: the deadline went by.
            Exception: what `encode` raised for this item alone.
        """
        loop = asyncio.get_running_loop()
        entry: _Waiting[Item, Result] = _Waiting(item, loop.create_future(), perf_counter())
        self._waiting.append(entry)
        self._changed.set()
        alarm = loop.call_at(deadline, self._give_up, entry)
        try:
            return await entry.future
        finally:
            alarm.cancel()

    def _give_up(self, entry: _Waiting[Item, Result]) -> None:
        if entry in self._waiting and not entry.future.done():
            busy = BusyError("the service is busy: the wait was too long", self.retry_after(1))
            entry.future.set_exception(busy)

    async def run(self) -> None:
        """Encode batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._linger(loop)
            batch = self._take()
            if not batch:
                continue
            started = perf_counter()
            for entry in batch:
                self._queue_seconds.observe(started - entry.since)
            self._batch_size.observe(len(batch))
            items = [entry.item for entry in batch]
            results = await loop.run_in_executor(self._executor, self._one_by_one_if_bad, items)
            self._last_batch = perf_counter() - started
            self._per_item = self._last_batch / len(batch)
            self._encode_seconds.observe(self._last_batch)
            for entry, result in zip(batch, results, strict=True):
                if entry.future.done():
                    continue
                if isinstance(result, Exception):
                    entry.future.set_exception(result)
                else:
                    entry.future.set_result(result)

    async def _linger(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for the first item, then for those on their way, within reason."""
        until = math.inf
        while True:
            self._changed.clear()
            if self._waiting:
                if until == math.inf:
                    until = loop.time() + min(_LINGER_MOST, _LINGER_SHARE * self._last_batch)
                left = until - loop.time()
                if len(self._waiting) >= self._most or not self._coming or left <= 0:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), left)
            else:
                await self._changed.wait()

    def _take(self) -> list[_Waiting[Item, Result]]:
        batch: list[_Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self._most:
            entry = self._waiting.popleft()
            if not entry.future.done():  # given up, or its caller is gone
                batch.append(entry)
        return batch

    def _one_by_one_if_bad(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """An item that the encoder can't take must not take the others with it."""
        try:
            return self._encode(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
        return [self._one_by_one_if_bad([item])[0] for item in items]
