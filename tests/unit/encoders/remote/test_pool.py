"""Several services as one encoder: real ones that die, and scripted ones with other troubles."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from clipstack.encoders import load
from clipstack.encoders.remote import client, pool
from clipstack.encoders.remote.encoder import RemoteEncoder
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.events import Events
from clipstack.retry import InterruptError, RetryPolicy
from tests.serving import Served, free_port, served
from tests.unit.encoders.remote import services
from tests.unit.encoders.remote.services import status, vectors


@pytest.fixture
def serve() -> Iterator[services.Start]:
    with services.scripted() as start:
        yield start


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    with ExitStack() as stack:
        yield [stack.enter_context(served(tmp_path_factory.mktemp(name))) for name in ("a", "b")]


class Told(Events):
    """Keeps the events of a wait."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, bool]] = []
        self.back: list[str] = []

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        self.waits.append((service, left is None))

    def resumed(self, service: str, seconds: float) -> None:
        self.back.append(service)


def numbered(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)


def test_both_work_and_the_order_is_kept(serve: services.Start) -> None:
    (one, first), (two, second) = serve(vectors), serve(vectors)
    encoder = RemoteEncoder((one, two))
    assert encoder.encode_images(numbered(250))[:, 0].tolist() == list(range(250))
    assert len(first.asked) > 2
    assert len(second.asked) > 2
    encoder.close()


def test_one_that_fails_is_left_out_and_tried_again(serve: services.Start) -> None:
    told = Told()
    (one, flaky), (two, _) = serve(vectors, *[None] * 3, vectors), serve(vectors)
    encoder = RemoteEncoder((one, two), retry_policy=RetryPolicy(30, told))
    until = time.monotonic() + 30
    while len(flaky.asked) < 6:
        assert encoder.encode_images(numbered(200))[:, 0].tolist() == list(range(200))
        assert time.monotonic() < until
    encoder.close()


@pytest.mark.parametrize("answer", [status(500, "broken"), status(404)])
def test_one_that_is_broken_does_not_end_it(serve: services.Start, answer: services.Turn) -> None:
    (one, _), (two, _) = serve(vectors, answer), serve(vectors)
    encoder = RemoteEncoder((one, two))
    assert encoder.encode_images(numbered(100))[:, 0].tolist() == list(range(100))
    encoder.close()


def test_when_all_are_broken_it_says_how(serve: services.Start) -> None:
    (one, _), (two, _) = (serve(vectors, status(500, "broken")) for _ in range(2))
    with pytest.raises(ClipstackError, match="broken"):
        RemoteEncoder((one, two)).encode_images(numbered(10))


def test_a_request_that_is_wrong_is_not_sent_to_the_next(serve: services.Start) -> None:
    (one, first), (two, second) = (serve(vectors, status(422, "too long")) for _ in range(2))
    with pytest.raises(ClipstackError, match="too long"):
        RemoteEncoder((one, two)).encode_texts(["7"])
    assert len(first.asked) + len(second.asked) == 3


def test_different_models_are_refused(serve: services.Start) -> None:
    urls = [serve(vectors)[0], serve(vectors)[0], serve(services.another_model)[0]]
    with pytest.raises(ClipstackError, match="different models") as error:
        RemoteEncoder(tuple(urls))
    assert f"{urls[2]} has other/model" in error.value.message


def test_patience_ends_when_nobody_answers(serve: services.Start) -> None:
    told = Told()
    (one, _), (two, _) = (serve(vectors, status(503, "loading")) for _ in range(2))
    encoder = RemoteEncoder((one, two), retry_policy=RetryPolicy(2.5, told, hint="Later."))
    with pytest.raises(UnreachableError, match=r"all encoders: away for [23] s.*loading") as error:
        encoder.encode_texts(["7"])
    assert error.value.hint == "Later."
    assert ("all encoders", False) in told.waits


def test_one_that_takes_requests_and_never_answers(
    serve: services.Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_SLOW_SECONDS", 0.5)
    monkeypatch.setattr(client, "_PROBE_SECONDS", 0.5)
    ended = threading.Event()

    def hang(path: str, body: bytes) -> services.Answer:
        ended.wait(30)
        return vectors(path, body)

    (one, _), (two, _) = serve(vectors, hang), serve(vectors)
    told = Told()
    both = RemoteEncoder((one, two), retry_policy=RetryPolicy(60, told))
    for _ in range(8):
        assert both.encode_images(numbered(100))[:, 0].tolist() == list(range(100))
    alone = RemoteEncoder((serve(vectors, hang)[0],), retry_policy=RetryPolicy(2))
    with pytest.raises(UnreachableError, match="gives no answer"):
        alone.encode_texts(["7"])
    ended.set()


def test_ctrl_c_ends_a_wait(serve: services.Start) -> None:
    url, _ = serve(vectors, status(503, "loading"))
    policy = RetryPolicy(60)
    encoder = RemoteEncoder((url,), retry_policy=policy)
    threading.Timer(0.5, policy.stop.set).start()
    with pytest.raises(InterruptError):
        encoder.encode_texts(["7"])


def test_a_service_that_is_not_there_at_first(serve: services.Start) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    url, _ = serve(vectors)
    encoder = RemoteEncoder((away, url), first_patience=0.3)
    assert encoder.encode_texts(["1", "2"])[:, 0].tolist() == [1, 2]
    encoder.close()


def test_one_of_two_services_is_killed(two: list[Served], tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (1200, 64, 64, 3), np.uint8)
    here = load("shapes").encode_images(pixels)
    told = Told()
    urls = tuple(service.url for service in two)
    encoder = RemoteEncoder(urls, retry_policy=RetryPolicy(60, told))

    def kill() -> None:
        while two[1].metric("bentoml_service_request_total") < 10:
            time.sleep(0.02)
        for child in [*two[1].process.children(recursive=True), two[1].process]:
            child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    rounds = [encoder.encode_images(pixels)]
    while killer.is_alive():
        rounds.append(encoder.encode_images(pixels))
    rounds.append(encoder.encode_images(pixels))
    encoder.close()
    for there in rounds:
        np.testing.assert_allclose(there, here, atol=1e-4)
    assert not two[1].process.is_running() or two[1].process.status() == "zombie"
