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
from clipstack.encoders.remote import client, service
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


def hang(path: str, body: bytes) -> services.Answer:
    """As a service that answers much later."""
    time.sleep(40)
    return vectors(path, body)


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


def test_a_request_that_is_wrong_is_not_sent_to_the_next(
    serve: services.Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_UNKNOWN_SECONDS", 20.0)  # on a busy machine it may seem late
    (one, first), (two, second) = (serve(vectors, status(422, "too long")) for _ in range(2))
    with pytest.raises(ClipstackError, match="too long"):
        RemoteEncoder((one, two)).encode_texts(["7"])
    time.sleep(0.5)
    asked = [path for script in (first, second) for path, _ in script.asked]
    assert asked.count("/vectorize_texts") == 1


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
    monkeypatch.setattr(service, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(client, "_PROBE_SECONDS", 0.5)
    (one, _), (two, _) = serve(vectors, hang), serve(vectors)
    told = Told()
    both = RemoteEncoder((one, two), retry_policy=RetryPolicy(60, told))
    for _ in range(8):
        assert both.encode_images(numbered(100))[:, 0].tolist() == list(range(100))
    alone = RemoteEncoder((serve(vectors, hang)[0],), retry_policy=RetryPolicy(2))
    with pytest.raises(UnreachableError, match="does not answer"):
        alone.encode_texts(["7"])


@pytest.mark.parametrize(
    "member",
    [
        pytest.param([hang], id="hangs"),
        pytest.param([vectors, hang], id="tells its model, then hangs"),
        pytest.param([status(502)], id="bad gateway"),
        pytest.param([vectors, status(504)], id="tells its model, then times out"),
        pytest.param([services.reset], id="resets connections"),
        pytest.param([vectors, services.closed_early], id="closes early"),
        pytest.param([status(404)], id="another kind of server"),
        pytest.param([status(401)], id="another token"),
        pytest.param([services.another_model], id="another model"),
    ],
)
def test_one_sick_member_is_left_out_and_reported_once(
    serve: services.Start, member: list[services.Turn]
) -> None:
    told = Told()
    (sick, script), (good, _) = serve(*member), serve(vectors)
    began = time.monotonic()
    encoder = RemoteEncoder((sick, good), fingerprint="f00d", retry_policy=RetryPolicy(60, told))
    for _ in range(3):
        assert encoder.encode_texts(["7"])[:, 0].tolist() == [7]
    assert encoder.encode_images(numbered(100))[:, 0].tolist() == list(range(100))
    encoder.close(linger=0.25)
    assert time.monotonic() < began + 10, "it waits for the sick one"
    assert script.asked
    assert {left_out for left_out, _ in told.waits} == {f"the encoder at {sick}"}
    assert all(goes_on for _, goes_on in told.waits)


def test_a_member_that_recovers_is_used_again(
    serve: services.Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MODEL_SECONDS", 0.5)
    told = Told()
    (sick, script), (good, _) = serve(hang, status(502), status(503), vectors), serve(vectors)
    encoder = RemoteEncoder((sick, good), retry_policy=RetryPolicy(60, told))
    until = time.monotonic() + 30
    while "/vectorize_images" not in [path for path, _ in script.asked]:
        assert encoder.encode_images(numbered(200))[:, 0].tolist() == list(range(200))
        assert time.monotonic() < until
    encoder.close()
    assert told.back == [f"the encoder at {sick}"]


def test_a_service_that_hung_gets_its_request_again(
    serve: services.Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(client, "_PROBE_SECONDS", 0.5)
    url, _ = serve(vectors, hang, hang, vectors)  # the request, and the probe
    encoder = RemoteEncoder((url,), retry_policy=RetryPolicy(30))
    began = time.monotonic()
    assert encoder.encode_texts(["7"])[:, 0].tolist() == [7]
    assert time.monotonic() < began + 20
    encoder.close()


@pytest.mark.parametrize("turns", [[hang], [vectors, hang]])
def test_a_deadline_bounds_the_wait_for_an_answer(
    serve: services.Start, turns: list[services.Turn]
) -> None:
    urls = tuple(serve(*turns)[0] for _ in range(2))
    policy = RetryPolicy(1, hint="Wait.", is_deadline=True)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"within 1 s.*does not answer") as error:
        RemoteEncoder(urls, retry_policy=policy).encode_texts(["7"])
    assert time.monotonic() < began + 6
    assert error.value.hint == "Wait."


def test_when_none_can_be_used_each_is_named(serve: services.Start) -> None:
    away, (other, _) = f"http://127.0.0.1:{free_port()}", serve(status(404))
    with pytest.raises(UnreachableError) as error:
        RemoteEncoder((away, other), first_patience=0.3)
    assert away in error.value.message
    assert other in error.value.message


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
