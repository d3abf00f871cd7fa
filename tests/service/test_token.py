"""A service with a token lets nobody in without it, except to ask for its health."""

from __future__ import annotations

import pytest

from tests.service.conftest import TOKEN


@pytest.mark.parametrize("path", ["/vectorize", "/vectorize_image", "/vectorize_images"])
@pytest.mark.parametrize("sent", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"])
def test_no_token_no_vector(strict, path, sent, picture):
    headers = {"authorization": sent.encode("latin-1")} if sent else {}
    answer = strict.post(path, picture, **headers)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "token"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/model", "/metrics", "/schema.json"])
def test_what_tells_of_the_service_needs_it_too(strict, path):
    assert strict.get(path).status_code == 401
    assert strict.get(path, authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs.json"])
def test_health_is_for_everyone(strict, path):
    assert strict.get(path).status_code == 200


def test_with_the_token(strict, picture):
    assert strict.post("/vectorize", picture, authorization=f"Bearer {TOKEN}").status_code == 200


def test_it_is_never_in_the_log(strict):
    strict.post("/vectorize", b"x", authorization=f"Bearer {TOKEN}")
    assert TOKEN not in strict.log.read_text()
