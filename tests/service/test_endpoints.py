"""Every endpoint: its inputs, its responses and its errors."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from clipstack.encoders.remote.client import _npy
from tests.faults.corpus import giant_png
from tests.unit.images import samples

BINARY = "application/octet-stream"


def vector(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.array(response.json()["vector"], np.float32)


def refused(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["error"]
    return response.status_code, body["reason"]


@pytest.mark.parametrize("path", ["/vectorize", "/vectorize_image"])
@pytest.mark.parametrize("kind", ["image/jpeg", "image/x-anything", BINARY, "text/plain", ""])
def test_a_picture_with_any_content_type(service, path, kind, picture, vector_of):
    actual = vector(service.post(path, picture, kind))
    np.testing.assert_allclose(actual, vector_of(picture), atol=1e-4)


def test_a_picture_by_multipart(service, picture, vector_of):
    response = httpx.post(service.url + "/vectorize", files={"any": ("é.jpg", picture)})
    np.testing.assert_allclose(vector(response), vector_of(picture), atol=1e-4)


def test_octets_hold_the_same_numbers(service, picture):
    octets = service.post("/vectorize", picture, accept=BINARY)
    assert octets.headers["content-type"] == BINARY
    both = "application/json, application/octet-stream;q=.5"
    named = service.post("/vectorize", picture, accept=both)
    np.testing.assert_allclose(np.frombuffer(octets.content, "<f4"), vector(named), atol=1e-5)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("two red circles", "text/plain"),
        ("two red circles", ""),
        ("two red circles".encode("utf-16"), "text/plain; charset=utf-16"),
        ('{"text": "two red circles"}', "application/json"),
    ],
)
def test_a_text(service, encoder, content, kind):
    actual = vector(service.post("/vectorize_text", content, kind))
    np.testing.assert_allclose(actual, encoder.encode_texts(["two red circles"])[0], atol=1e-4)


def test_a_long_text_is_cut_off_with_a_notice(service, encoder):
    text = "a red circle " * 100
    response = service.post("/vectorize_text", text, "text/plain")
    np.testing.assert_allclose(vector(response), encoder.encode_texts([text])[0], atol=1e-4)
    assert response.json()["truncated"] is True
    assert str(encoder.info.context_length) in response.json()["notice"]
    assert response.headers["clipstack-truncated"] == "true"
    short = service.post("/vectorize_text", "red " * 8, "text/plain")
    assert "truncated" not in short.json()


def test_many_pictures_each_with_its_own_outcome(service, picture, vector_of):
    png = samples.SAMPLES[".png"]().data
    files = [("i", picture), ("i", b"no picture at all"), ("i", picture[:300]), ("i", png)]
    response = httpx.post(service.url + "/vectorize_images", files=files)
    first, second, third, fourth = response.json()["results"]
    np.testing.assert_allclose(first["vector"], vector_of(picture), atol=1e-4)
    assert (second["status"], second["reason"]) == (415, "unsupported")
    assert (third["status"], third["reason"]) == (422, "truncated")
    np.testing.assert_allclose(fourth["vector"], vector_of(png), atol=1e-4)
    octets = httpx.post(service.url + "/vectorize_images", files=files, headers={"accept": BINARY})
    rows = np.frombuffer(octets.content, "<f4").reshape(4, -1)
    assert octets.headers["clipstack-failed"] == "1,2"
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True, False]


def test_many_pictures_as_pixels(service, encoder):
    shape = (5, *encoder.info.geometry.shape, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kind, body = _npy(pixels)
    response = service.post("/vectorize_images", body, kind, accept=BINARY)
    rows = np.frombuffer(response.content, "<f4").reshape(5, -1)
    np.testing.assert_allclose(rows, encoder.encode_images(pixels), atol=1e-4)
    assert refused(service.post("/vectorize_images", body[:-9], kind)) == (422, "truncated")
    assert refused(service.post("/vectorize_images", b"x" * 99, kind)) == (415, "unsupported")
    small = _npy(pixels[:, :9])[1]
    assert refused(service.post("/vectorize_images", small, kind)) == (422, "shape")


@pytest.mark.parametrize("name", [None, "texts"])
def test_many_texts_each_with_its_own_outcome(service, encoder, name):
    texts = ["a dog", "", 7, "red " * 200]
    body = json.dumps({name: texts} if name else texts)
    response = service.post("/vectorize_texts", body, "application/json")
    results = response.json()["results"]
    expected = encoder.encode_texts([texts[0], texts[3]])
    np.testing.assert_allclose(results[0]["vector"], expected[0], atol=1e-4)
    assert (results[1]["status"], results[1]["reason"]) == (400, "empty")
    assert (results[2]["status"], results[2]["reason"]) == (400, "json")
    np.testing.assert_allclose(results[3]["vector"], expected[1], atol=1e-4)
    assert results[3]["truncated"] is True


@pytest.mark.parametrize("content", ["[]", '{"texts": []}'])
def test_no_texts_no_vectors(service, content):
    assert service.post("/vectorize_texts", content, "application/json").json() == {"results": []}


def test_the_model(service, encoder):
    model, info = service.get("/model").json(), encoder.info
    assert model["id"] == "shapes"
    assert model["fingerprint"] == info.fingerprint
    assert model["dimension"] == info.dimension
    assert (model["engine"], model["precision"]) == (encoder.engine, encoder.precision)
    assert model["limits"]["tokens"] == info.context_length
    assert "revision" in model


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs.json", "/"])
def test_endpoints_of_bentoml(service, path):
    assert service.get(path).status_code == 200


def test_the_files_of_bentomls_page(service):
    page = service.get("/").text
    files = [part.split('"')[0] for part in page.split("static_content/")[1:]]
    assert files
    for file in files:
        assert service.get(f"/static_content/{file}").status_code == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (400, "empty")),
        (b"this is not a picture", (415, "unsupported")),
        (b"%PDF-1.7" + bytes(100), (415, "unsupported")),
        (samples.jpeg()[:400], (422, "truncated")),
        (giant_png(50_000, 50_000), (413, "too large")),
    ],
)
@pytest.mark.parametrize("how", ["raw", "multipart"])
def test_bad_pictures(service, data, expected, how):
    if how == "raw":
        response = service.post("/vectorize", data, "image/png")
    else:
        response = httpx.post(service.url + "/vectorize", files={"image": data})
    assert refused(response) == expected


@pytest.mark.parametrize(
    ("path", "content", "kind", "expected"),
    [
        ("/vectorize_text", "", "text/plain", (400, "empty")),
        ("/vectorize_text", " \n", "text/plain", (400, "empty")),
        ("/vectorize_text", '{"text": ""}', "application/json", (400, "empty")),
        ("/vectorize_text", '{"text": 3}', "application/json", (400, "json")),
        ("/vectorize_text", '{"txt": "a"}', "application/json", (400, "json")),
        ("/vectorize_text", "[" * 100_000, "application/json", (400, "json")),
        ("/vectorize_text", b"\xff\xfe\xfd", "text/plain", (400, "charset")),
        ("/vectorize_text", "a", "text/plain; charset=klingon", (415, "charset")),
        ("/vectorize_text", "616161", "text/plain; charset=hex", (415, "charset")),
        ("/vectorize_text", "a", "image/png", (415, "unsupported")),
        ("/vectorize_text", "a" * 300_000, "text/plain", (413, "too large")),
        ("/vectorize_texts", '"dog"', "application/json", (400, "json")),
        ("/vectorize_texts", json.dumps(["a"] * 257), "application/json", (422, "too many")),
        ("/vectorize_texts", "[]", "text/plain", (415, "unsupported")),
        ("/vectorize_images", "x", "image/png", (415, "unsupported")),
        ("/vectorize_images", "x", "multipart/form-data", (400, "multipart")),
        ("/vectorize_images", "x", "multipart/form-data; boundary=y", (400, "multipart")),
        ("/vectorize", "--y\r\n\r\nab", "multipart/form-data; boundary=y", (400, "multipart")),
        ("/vectorize", "--y--\r\n", "multipart/form-data; boundary=y", (400, "multipart")),
    ],
)
def test_bad_requests(service, path, content, kind, expected):
    status, reason = refused(service.post(path, content, kind))
    assert status == expected[0]
    assert reason == expected[1] or status == 400


def test_one_picture_at_a_time(service, picture):
    response = httpx.post(service.url + "/vectorize", files=[("a", picture), ("b", picture)])
    assert refused(response) == (400, "multipart")


def test_a_form_field_is_refused(service, picture):
    for path in ("/vectorize", "/vectorize_images"):
        response = httpx.post(
            service.url + path, data={"note": "hello"}, files={"image": ("a.jpg", picture)}
        )
        assert refused(response) == (400, "multipart")


def test_unknown_pages_and_methods(service):
    assert refused(service.get("/nothing/here")) == (404, "not found")
    response = service.get("/vectorize")
    assert refused(response) == (405, "method")
    assert response.headers["allow"] == "POST"
    assert service.post("/livez").status_code == 405
    assert "nothing" not in service.get("/metrics").text


def test_headers_that_are_not_ascii(service, picture):
    response = service.post("/vectorize", picture, b"image/\xff\xfe")
    assert refused(response) == (415, "unsupported")
