"""Hostile bodies, slow and disconnecting clients, and heavy load: good requests still succeed."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from clipstack.errors import Reason
from tests.faults.corpus import TOTAL, make_corpus
from tests.service.conftest import TOKEN
from tests.unit.images import samples

STATUS = {
    Reason.EMPTY: 400,
    Reason.TOO_LARGE: 413,
    Reason.UNSUPPORTED: 415,
    Reason.TRUNCATED: 422,
    Reason.UNREADABLE: 422,
}


@pytest.fixture
def still_right(service, picture, vector_of):
    """Checks, when called and after the test, that the same processes still response correctly."""
    workers = service.workers

    def check() -> None:
        response = service.post("/vectorize", picture)
        assert response.status_code == 200
        np.testing.assert_allclose(response.json()["vector"], vector_of(picture), atol=1e-3)
        assert service.workers == workers

    yield check
    check()


def connect(service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=60)


def head(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def test_300_hostile_bodies(service, corpus, still_right):
    good, bad = corpus
    bodies = [(p, 200, p.read_bytes()) for p in good]
    for path, reason in bad.items():
        try:
            regular = path.is_file() and not path.is_symlink()
        except OSError:
            continue
        if regular:
            bodies.append((path, STATUS.get(reason, 0), path.read_bytes()))
    assert TOTAL - len(bodies) <= 4

    def send(body) -> str:
        path, expected, data = body
        response = service.post("/vectorize", data, "image/jpeg")
        if response.status_code != 200 and not {"error", "reason"} <= response.json().keys():
            return f"{path.name}: {response.text}"
        accepted = [expected] if expected else [200, 413, 415, 422]
        return "" if response.status_code in accepted else f"{path.name}: {response.text}"

    with ThreadPoolExecutor(8) as threads:
        first = [error for error in threads.map(send, bodies) if error]
        settled = service.memory
        again = [error for error in threads.map(send, bodies) if error]
    assert first == again == []
    assert service.memory < settled + (150 << 20)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/vectorize_text", "text/plain"),
        ("/vectorize_text", "application/json"),
        ("/vectorize_texts", "application/json"),
        ("/vectorize_images", "multipart/form-data; boundary=x"),
        ("/vectorize_images", "application/x-npy"),
        ("/vectorize", "multipart/form-data; boundary=x"),
    ],
)
def test_bodies_of_other_types(service, path, kind, still_right):
    rng = np.random.default_rng(5)
    starts = [b"", b"[", b'{"text": ', b"--x\r\n\r\n", b"\x93NUMPY\x01\0v\0{'descr':", b"\xff\xfe"]
    ends = [b"", b"]" * 5000, b"\0" * 1000, b"--x--\r\n", b"1e999", b'"\\ud800"', bytes(range(256))]
    for start, end in itertools.product(starts, ends):
        body = start + rng.bytes(int(rng.integers(0, 300))) + end
        status = service.post(path, body, kind).status_code
        assert status == 200 or 400 <= status < 500, (status, body)


def test_a_picture_of_one_pixel(service, still_right):
    response = service.post("/vectorize", samples.png(bytes(3), width=1, height=1), "image/png")
    assert response.status_code == 200


def test_a_decompression_bomb(service, still_right):
    """A PNG of 20 kB that holds 16,000 x 16,000 pixels."""
    side = 16_000
    compressor = zlib.compressobj(9)
    packed = (
        b"".join(compressor.compress(bytes(1 + side * 3)) for _ in range(side)) + compressor.flush()
    )
    header = samples.chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    png = b"\x89PNG\r\n\x1a\n" + header + samples.chunk(b"IDAT", packed)
    before = service.memory
    response = service.post("/vectorize", png + samples.chunk(b"IEND", b""), "image/png")
    assert response.status_code == 413
    assert service.memory < before + (200 << 20)


def test_clients_that_send_slowly(strict_service, picture, vector_of):
    connections = [connect(strict_service) for _ in range(20)]
    for number, connection in enumerate(connections):
        token = f"POST /vectorize HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        connection.sendall(token.encode() + b"Host: x\r\nContent-Length: 100000\r\n")
        if number % 2:  # the others never end their headers
            connection.sendall(b"\r\n")
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.1):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for _ in range(10):
            response = strict_service.post("/vectorize", picture, authorization=f"Bearer {TOKEN}")
            assert response.status_code == 200, response.text
            np.testing.assert_allclose(response.json()["vector"], vector_of(picture), atol=1e-3)
        replies = [connection.recv(4096) for connection in connections[1::2]]
        assert {reply.split(b"\r\n")[0] for reply in replies} == {b"HTTP/1.1 408 Request Timeout"}
    finally:
        stop.set()
        dripping.join()
        for connection in connections:
            connection.close()


def test_clients_that_disconnect(service, picture, still_right):
    for n in range(40):
        with connect(service) as connection:
            connection.sendall(head("/vectorize", len(picture)))
            connection.sendall(picture[: len(picture) * (n % 4) // 3])  # with 3, all of it
    still_right()
    deadline = time.monotonic() + 60
    in_progress = 'bentoml_service_request_in_progress{endpoint="/vectorize"'
    while service.metric(in_progress) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert service.metric(in_progress) == 0


def test_an_endless_body_is_refused_while_it_arrives(strict_service, service):
    limit = 300_000
    sent = 0

    def endless():
        nonlocal sent
        while sent < 40 * limit:
            sent += 10_000
            yield bytes(10_000)

    headers = {"authorization": f"Bearer {TOKEN}"}
    before = strict_service.memory
    with httpx.Client() as client:
        response = client.post(
            strict_service.url + "/vectorize", content=endless(), headers=headers
        )
    assert (response.status_code, response.json()["reason"]) == (413, "too large")
    assert strict_service.memory < before + (50 << 20)
    with connect(strict_service) as connection:  # refused because of its length
        connection.sendall(
            f"POST /vectorize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {10 << 30}\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_64_connections(service, corpus, picture, vector_of, still_right):
    """For 8 seconds; `benchmarks/service.py --soak 60` runs longer."""
    _, bad = corpus
    broken = [p.read_bytes() for p in bad if p.suffix in (".png", ".gif", ".jpg") and p.is_file()]
    expected = vector_of(picture)
    deadline = time.monotonic() + 8
    counts: Counter[str] = Counter()
    numbers = itertools.count()

    def client_loop() -> None:
        with httpx.Client(base_url=service.url, timeout=120) as client:
            while time.monotonic() < deadline:
                number = next(numbers)
                if number % 2:
                    response = client.post("/vectorize", content=broken[number % len(broken)])
                    counts[f"broken {response.status_code // 100}"] += 1
                    continue
                response = client.post("/vectorize", content=picture)
                is_right = response.status_code == 200 and np.allclose(
                    response.json()["vector"], expected, atol=1e-3
                )
                counts["right" if is_right else f"wrong {response.status_code}"] += 1

    with ThreadPoolExecutor(64) as threads:
        for future in [threads.submit(client_loop) for _ in range(64)]:
            future.result()
    assert counts.keys() <= {"right", "broken 2", "broken 4"}
    assert counts["right"] >= 64


def test_a_full_queue_says_when_to_come_back(strict_service, picture):
    headers = {"authorization": f"Bearer {TOKEN}"}
    files = [("i", picture)] * 8

    def send(_) -> tuple[int, str]:
        response = httpx.post(
            strict_service.url + "/vectorize_images", files=files, headers=headers, timeout=120
        )
        return response.status_code, response.headers.get("retry-after", "")

    with ThreadPoolExecutor(24) as threads:
        outcomes = set(threads.map(send, range(48)))
    assert (200, "") in outcomes
    assert {status for status, _ in outcomes} == {200, 503}
    assert all(1 <= int(retry_after) <= 30 for status, retry_after in outcomes if status == 503)
