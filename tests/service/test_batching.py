"""Waiting items are encoded together, and a bad one does not affect the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clipstack.errors import ClipstackError
from clipstack.service.batching import Batcher
from clipstack.service.metrics import Metrics
from clipstack.web.error_responses import BusyError


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics()


class Halves:
    """An encoder that waits until it is released, records its batches, and can't halve 13."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[float]:
        self.released.wait(30)
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise ClipstackError("13")
        return [number / 2 for number in numbers]


def run(metrics: Metrics, encode, work, max_items: int = 4):
    """Run `work(batcher)` while its batches are encoded."""

    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher: Batcher[int, float] = Batcher("image", encode, executor, max_items, metrics)
            runner = asyncio.create_task(batcher.run())
            try:
                return await work(batcher)
            finally:
                encode.released.set()
                runner.cancel()

    return asyncio.run(main())


def soon() -> float:
    return asyncio.get_running_loop().time() + 60


async def started(batcher, encode, numbers: Sequence[int]) -> list[asyncio.Task[float]]:
    """Submit the first number, which is encoded alone, and the others, which wait."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(batcher.submit(number, soon())))
        await asyncio.sleep(0.01)
    return tasks


def test_waiting_items_are_encoded_together_in_order(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, range(10))
        encode.released.set()
        return await asyncio.gather(*tasks)

    assert run(metrics, encode, work) == [n / 2 for n in range(10)]
    assert encode.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


def test_a_bad_item_fails_alone(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0, 2, 13, 4])
        encode.released.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, bad, last = run(metrics, encode, work)
    assert (first, second, last) == (0, 1, 2)
    assert isinstance(bad, ClipstackError)


def test_an_item_that_waits_too_long_gets_busy_error(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0])
        with pytest.raises(BusyError) as error:
            await batcher.submit(2, asyncio.get_running_loop().time() + 0.05)
        encode.released.set()
        await asyncio.gather(*tasks)
        return error.value.retry_after

    assert run(metrics, encode, work) >= 1
    assert encode.batches == [[0]]


def test_a_cancelled_item_is_not_encoded(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0, 2, 4])
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        encode.released.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(run(metrics, encode, work)[1], asyncio.CancelledError)
    assert encode.batches == [[0], [4]]


def test_a_batch_lingers_for_an_item_being_prepared(metrics):
    encode = Halves()
    encode.released.set()

    async def late(batcher):
        with batcher.preparing():
            await asyncio.sleep(0.01)
        return await batcher.submit(4, soon())

    async def work(batcher):
        batcher._last_batch = 60.0  # so it lingers as long as it ever does
        task = asyncio.create_task(late(batcher))
        await asyncio.sleep(0)
        return await asyncio.gather(batcher.submit(2, soon()), task)

    assert run(metrics, encode, work) == [1, 2]
    assert encode.batches == [[2, 4]]


def test_concurrent_callers_share_batches(service, picture, vector_of):
    """Good pictures, broken ones and texts at the same time get the responses they get alone."""
    before = {name: service.metric(f"clipstack_{name}") for name in METRICS}
    expected = vector_of(picture)

    def good(_):
        response = service.post("/vectorize", picture)
        return response.status_code, np.array(response.json()["vector"])

    with ThreadPoolExecutor(32) as threads:
        for round_ in range(8):
            pictures = [threads.submit(good, n) for n in range(24)]
            broken = [threads.submit(service.post, "/vectorize", picture[:500]) for _ in range(8)]
            texts = [
                threads.submit(service.post, "/vectorize_text", f"dog {n}", "text/plain")
                for n in range(8)
            ]
            for future in pictures:
                status, vector = future.result()
                assert status == 200
                np.testing.assert_allclose(vector, expected, atol=1e-3)
            assert {future.result().status_code for future in broken} == {422}
            assert {future.result().status_code for future in texts} == {200}
            counts = {n: service.metric(f"clipstack_{n}") - before[n] for n in METRICS}
            if counts["batch_size_sum"] > counts["batch_size_count"] and round_ > 0:
                break
        else:
            pytest.fail("no batch held more than one item")
    assert counts["decode_seconds_count"] >= 32
    assert counts["queue_seconds_count"] >= 32
    assert counts["encode_seconds_count"] == counts["batch_size_count"]


METRICS = (
    "batch_size_sum",
    "batch_size_count",
    "decode_seconds_count",
    "queue_seconds_count",
    "encode_seconds_count",
)
