"""Hostile bodies, callers who dawdle or hang up, and crowds: good requests are answered right."""

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
    """After the test, and when called, the service answers as before, by the same processes."""
    workers = service.workers

    def check() -> None:
        answer = service.post("/vectorize", picture)
        assert answer.status_code == 200
        np.testing.assert_allclose(answer.json()["vector"], vector_of(picture), atol=1e-3)
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
        path, wanted, data = body
        answer = service.post("/vectorize", data, "image/jpeg")
        if answer.status_code != 200 and not {"error", "reason"} <= answer.json().keys():
            return f"{path.name}: {answer.text}"
        accepted = [wanted] if wanted else [200, 413, 415, 422]
        return "" if answer.status_code in accepted else f"{path.name}: {answer.text}"

    with ThreadPoolExecutor(8) as threads:
        first = [said for said in threads.map(send, bodies) if said]
        settled = service.memory
        again = [said for said in threads.map(send, bodies) if said]
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
def test_bodies_of_other_kinds(service, path, kind, still_right):
    chance = np.random.default_rng(5)
    starts = [b"", b"[", b'{"text": ', b"--x\r\n\r\n", b"\x93NUMPY\x01\0v\0{'descr':", b"\xff\xfe"]
    ends = [b"", b"]" * 5000, b"\0" * 1000, b"--x--\r\n", b"1e999", b'"\\ud800"', bytes(range(256))]
    for start, end in itertools.product(starts, ends):
        body = start + chance.bytes(int(chance.integers(0, 300))) + end
        status = service.post(path, body, kind).status_code
        assert status == 200 or 400 <= status < 500, (status, body)


def test_a_picture_of_one_pixel(service, still_right):
    answer = service.post("/vectorize", samples.png(bytes(3), width=1, height=1), "image/png")
    assert answer.status_code == 200


def test_a_decompression_bomb(service, still_right):
    """A PNG of 20 kB whose 16,000 x 16,000 pixels are all there."""
    side = 16_000
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(1 + side * 3)) for _ in range(side)) + row.flush()
    header = samples.chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    png = b"\x89PNG\r\n\x1a\n" + header + samples.chunk(b"IDAT", packed)
    before = service.memory
    answer = service.post("/vectorize", png + samples.chunk(b"IEND", b""), "image/png")
    assert answer.status_code == 413
    assert service.memory < before + (200 << 20)


def test_callers_who_send_their_bodies_slowly(strict, picture, vector_of):
    slow = [connect(strict) for _ in range(20)]
    for number, one in enumerate(slow):
        token = f"POST /vectorize HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        one.sendall(token.encode() + b"Host: x\r\nContent-Length: 100000\r\n")
        if number % 2:  # the others never end their headers
            one.sendall(b"\r\n")
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.1):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for _ in range(10):
            answer = strict.post("/vectorize", picture, authorization=f"Bearer {TOKEN}")
            assert answer.status_code == 200, answer.text
            np.testing.assert_allclose(answer.json()["vector"], vector_of(picture), atol=1e-3)
        said = [one.recv(4096) for one in slow[1::2]]
        assert {answer.split(b"\r\n")[0] for answer in said} == {b"HTTP/1.1 408 Request Timeout"}
    finally:
        stop.set()
        dripping.join()
        for one in slow:
            one.close()


def test_callers_who_hang_up(service, picture, still_right):
    for how in range(40):
        with connect(service) as one:
            one.sendall(head("/vectorize", len(picture)))
            one.sendall(picture[: len(picture) * (how % 4) // 3])  # with 3, all of it
    still_right()
    until = time.monotonic() + 60
    busy = 'bentoml_service_request_in_progress{endpoint="/vectorize"'
    while service.metric(busy) and time.monotonic() < until:
        time.sleep(0.1)
    assert service.metric(busy) == 0


def test_a_body_without_end_is_refused_while_it_comes(strict, service):
    limit = 300_000
    sent = 0

    def endless():
        nonlocal sent
        while sent < 40 * limit:
            sent += 10_000
            yield bytes(10_000)

    headers = {"authorization": f"Bearer {TOKEN}"}
    before = strict.memory
    with httpx.Client() as client:
        answer = client.post(strict.url + "/vectorize", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too large")
    assert strict.memory < before + (50 << 20)
    with connect(strict) as one:  # refused by its length alone
        one.sendall(
            f"POST /vectorize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {10 << 30}\r\n\r\n".encode()
        )
        assert one.recv(4096).startswith(b"HTTP/1.1 413")


def test_64_connections(service, corpus, picture, vector_of, still_right):
    """For some seconds; `benchmarks/service.py --soak 60` does it for longer."""
    _, bad = corpus
    broken = [p.read_bytes() for p in bad if p.suffix in (".png", ".gif", ".jpg") and p.is_file()]
    wanted = vector_of(picture)
    until = time.monotonic() + 8
    counts: Counter[str] = Counter()
    numbers = itertools.count()

    def busy() -> None:
        with httpx.Client(base_url=service.url, timeout=120) as client:
            while time.monotonic() < until:
                number = next(numbers)
                if number % 2:
                    answer = client.post("/vectorize", content=broken[number % len(broken)])
                    counts[f"broken {answer.status_code // 100}"] += 1
                    continue
                answer = client.post("/vectorize", content=picture)
                right = answer.status_code == 200 and np.allclose(
                    answer.json()["vector"], wanted, atol=1e-3
                )
                counts["right" if right else f"wrong {answer.status_code}"] += 1

    with ThreadPoolExecutor(64) as threads:
        for future in [threads.submit(busy) for _ in range(64)]:
            future.result()
    assert counts.keys() <= {"right", "broken 2", "broken 4"}
    assert counts["right"] >= 64


def test_a_full_queue_says_when_to_come_back(strict, picture):
    headers = {"authorization": f"Bearer {TOKEN}"}
    files = [("i", picture)] * 8

    def send(_) -> tuple[int, str]:
        answer = httpx.post(
            strict.url + "/vectorize_images", files=files, headers=headers, timeout=120
        )
        return answer.status_code, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(24) as threads:
        said = set(threads.map(send, range(48)))
    assert (200, "") in said
    assert {status for status, _ in said} == {200, 503}
    assert all(1 <= int(after) <= 30 for status, after in said if status == 503)
