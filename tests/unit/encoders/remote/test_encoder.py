"""The remote encoder when the other side is away, busy, strange or somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from clipstack.encoders.remote.encoder import RemoteEncoder, checked_url
from clipstack.errors import ClipstackError, ExitCode, UnreachableError, UsageError
from clipstack.retry import RetryPolicy
from tests.serving import free_port
from tests.unit.encoders.remote import services
from tests.unit.encoders.remote.services import FINGERPRINT, Start, scripted, status, vectors


@pytest.fixture
def serve() -> Iterator[Start]:
    with scripted() as start:
        yield start


def test_order_is_kept_over_many_requests_in_flight(serve):
    url, script = serve(vectors)
    encoder = RemoteEncoder((url + "/",))
    assert encoder.info.dimension == 3
    assert encoder.info.geometry.shape == (2, 4)
    pixels = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    assert encoder.encode_images(pixels)[:, 0].tolist() == list(range(100))
    assert encoder.encode_texts([str(n) for n in range(200)])[:, 2].tolist() == list(range(200))
    assert len(script.asked) > 10
    assert encoder.encode_images(pixels[:0]).shape == (0, 3)
    assert encoder.encode_texts([]).shape == (0, 3)
    encoder.close()


def test_wrong_arguments_never_travel(serve):
    url, script = serve(vectors)
    encoder = RemoteEncoder((url,))
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode_images(np.zeros((1, 2, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(n, 2, 4, 3\)"):
        encoder.encode_images(np.zeros((1, 4, 2, 3), np.uint8))
    with pytest.raises(TypeError):
        encoder.encode_texts("dog")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([None], id="broken connection"),
        pytest.param([None, None, status(503, "loading")], id="several"),
        pytest.param([status(503, "busy", Retry_After="1")], id="busy"),
        pytest.param([status(502)], id="bad gateway, with a page"),
        pytest.param([status(502, "no such upstream")], id="bad gateway, with JSON"),
        pytest.param([status(504)] * 3, id="gateway timeouts"),
        pytest.param([status(500)], id="a gateway's own error"),
        pytest.param([status(520)], id="a CDN's"),
        pytest.param([status(429, Retry_After="1")], id="too many requests"),
        pytest.param([status(200)], id="a page about maintenance"),
        pytest.param([services.closed_early], id="less than announced"),
        pytest.param([services.cut_short], id="less than asked for"),
        pytest.param([services.reset], id="reset"),
    ],
)
def test_outages_are_waited_for(serve, trouble):
    url, _ = serve(vectors, *trouble, vectors)
    encoder = RemoteEncoder((url,), retry_policy=RetryPolicy(30))
    assert encoder.encode_texts(["7"]).tolist() == [[7, 7, 7]]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([None] * 3, id="broken connections"),
        pytest.param([status(503, "loading")], id="busy"),
        pytest.param([status(502)] * 3, id="bad gateway"),
        pytest.param([services.closed_early], id="less than announced"),
        pytest.param([services.reset], id="reset"),
    ],
)
def test_outages_at_the_start_are_waited_for(serve, trouble):
    url, _ = serve(*trouble, vectors)
    encoder = RemoteEncoder((url,), retry_policy=RetryPolicy(30), first_patience=0)
    assert encoder.encode_texts(["7"]).tolist() == [[7, 7, 7]]


def test_patience_ends(serve):
    url, script = serve(vectors, status(503, "the queue is full", Retry_After="30"))
    encoder = RemoteEncoder((url,), retry_policy=RetryPolicy(5))
    with pytest.raises(UnreachableError, match="the queue is full"):
        encoder.encode_texts(["7"])
    assert len(script.asked) == 2


@pytest.mark.parametrize("code", [400, 404, 413, 415, 422, 500])
def test_other_answers_are_not_tried_again(serve, code):
    url, script = serve(vectors, status(code, "no such thing"))
    encoder = RemoteEncoder((url,))
    with pytest.raises(ClipstackError, match="no such thing" if code != 404 else "no service"):
        encoder.encode_texts(["7"])
    assert len(script.asked) == 2


def test_nobody_there():
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError) as error:
        RemoteEncoder((url,), first_patience=0.3)
    assert error.value.code == ExitCode.UNREACHABLE
    assert url in error.value.message
    assert "clipstack serve" in error.value.hint


def test_another_kind_of_server(serve):
    for answer in (status(404), status(200), lambda *_: (200, {}, b'{"id": 1}')):
        url, _ = serve(answer)
        with pytest.raises(ClipstackError, match=url):
            RemoteEncoder((url,))


def test_the_token_is_sent_and_never_shown(serve):
    url, script = serve(vectors, status(401, "a token is needed"))
    encoder = RemoteEncoder((url,), "s3cret")
    assert script.asked[0][1]["Authorization"] == "Bearer s3cret"
    with pytest.raises(UnreachableError) as error:
        encoder.encode_texts(["7"])
    assert "s3cret" not in f"{error.value} {error.value.hint} {encoder!r} {vars(encoder)}"
    url, _ = serve(status(401, "a token is needed"))
    with pytest.raises(UnreachableError, match="asks for a token") as error:
        RemoteEncoder((url,))
    assert "CLIPSTACK_ENCODER_TOKEN" in error.value.hint


def test_a_service_that_changes_its_model(serve):
    other = (200, {"Clipstack-Fingerprint": "beef"}, np.zeros(3, "<f4").tobytes())
    url, _ = serve(vectors, lambda *_: other)
    with pytest.raises(ClipstackError, match="another model"):
        RemoteEncoder((url,)).encode_texts(["7"])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"\0" * 8),
        ({}, np.full(3, np.nan, "<f4").tobytes()),
        ({"Clipstack-Failed": "0"}, np.zeros(3, "<f4").tobytes()),
    ],
)
def test_answers_that_hold_no_vectors(serve, headers, body):
    url, _ = serve(vectors, lambda *_: (200, FINGERPRINT | headers, body))
    with pytest.raises(ClipstackError):
        RemoteEncoder((url,), retry_policy=RetryPolicy(0.5)).encode_texts(["7"])


@pytest.mark.parametrize(
    "url", ["", "localhost:3000", "ftp://x", "http://", "http://x/?a=b", "a b"]
)
def test_what_is_no_url(url):
    with pytest.raises(UsageError, match="not the URL"):
        checked_url(url)
