"""What waits together is encoded together, and nobody suffers for a neighbour."""

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
    """An encoder that waits until it may go on, keeps what it was given, and can't halve 13."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[float]:
        self.may_go_on.wait(30)
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise ClipstackError("13")
        return [number / 2 for number in numbers]


def run(metrics: Metrics, encode, work, most: int = 4):
    """Runs `work(batcher)` while its batches are encoded."""

    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher: Batcher[int, float] = Batcher("image", encode, executor, most, metrics)
            runner = asyncio.create_task(batcher.run())
            try:
                return await work(batcher)
            finally:
                encode.may_go_on.set()
                runner.cancel()

    return asyncio.run(main())


def soon() -> float:
    return asyncio.get_running_loop().time() + 60


async def started(batcher, encode, numbers: Sequence[int]) -> list[asyncio.Task[float]]:
    """The first number alone in the encoder, the others behind it."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(batcher.submit(number, soon())))
        await asyncio.sleep(0.01)
    return tasks


def test_what_waits_goes_together_in_order(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, range(10))
        encode.may_go_on.set()
        return await asyncio.gather(*tasks)

    assert run(metrics, encode, work) == [n / 2 for n in range(10)]
    assert encode.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


def test_a_bad_item_fails_alone(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0, 2, 13, 4])
        encode.may_go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    zero, one, bad, two = run(metrics, encode, work)
    assert (zero, one, two) == (0, 1, 2)
    assert isinstance(bad, ClipstackError)


def test_who_waits_too_long_is_told_to_come_back(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0])
        with pytest.raises(BusyError) as busy:
            await batcher.submit(2, asyncio.get_running_loop().time() + 0.05)
        encode.may_go_on.set()
        await asyncio.gather(*tasks)
        return busy.value.retry_after

    assert run(metrics, encode, work) >= 1
    assert encode.batches == [[0]]


def test_who_is_gone_is_not_encoded(metrics):
    encode = Halves()

    async def work(batcher):
        tasks = await started(batcher, encode, [0, 2, 4])
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        encode.may_go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(run(metrics, encode, work)[1], asyncio.CancelledError)
    assert encode.batches == [[0], [4]]


def test_a_batch_lingers_for_what_is_on_its_way(metrics):
    encode = Halves()
    encode.may_go_on.set()

    async def late(batcher):
        with batcher.coming():
            await asyncio.sleep(0.01)
        return await batcher.submit(4, soon())

    async def work(batcher):
        batcher._last_batch = 60.0  # so it lingers as long as it ever does
        coming = asyncio.create_task(late(batcher))
        await asyncio.sleep(0)
        return await asyncio.gather(batcher.submit(2, soon()), coming)

    assert run(metrics, encode, work) == [1, 2]
    assert encode.batches == [[2, 4]]


def test_concurrent_callers_share_batches(service, picture, vector_of):
    """Good pictures, broken ones and texts at the same time, each answered as if it were alone."""
    before = {name: service.metric(f"clipstack_{name}") for name in METRICS}
    wanted = vector_of(picture)

    def good(_):
        answer = service.post("/vectorize", picture)
        return answer.status_code, np.array(answer.json()["vector"])

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
                np.testing.assert_allclose(vector, wanted, atol=1e-3)
            assert {future.result().status_code for future in broken} == {422}
            assert {future.result().status_code for future in texts} == {200}
            gone = {n: service.metric(f"clipstack_{n}") - before[n] for n in METRICS}
            if gone["batch_size_sum"] > gone["batch_size_count"] and round_ > 0:
                break
        else:
            pytest.fail("no batch held more than one item")
    assert gone["decode_seconds_count"] >= 32
    assert gone["queue_seconds_count"] >= 32
    assert gone["encode_seconds_count"] == gone["batch_size_count"]


METRICS = (
    "batch_size_sum",
    "batch_size_count",
    "decode_seconds_count",
    "queue_seconds_count",
    "encode_seconds_count",
)
