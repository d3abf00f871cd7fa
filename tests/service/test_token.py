"""A service with a token refuses requests without it, except for its health and description."""

from __future__ import annotations

import pytest

from tests.service.conftest import TOKEN


@pytest.mark.parametrize("path", ["/vectorize", "/vectorize_image", "/vectorize_images"])
@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
def test_vectors_need_the_token(strict_service, path, authorization, picture):
    headers = {"authorization": authorization.encode("latin-1")} if authorization else {}
    response = strict_service.post(path, picture, **headers)
    assert response.status_code == 401
    assert response.json()["reason"] == "token"
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in response.text


@pytest.mark.parametrize("path", ["/model", "/metrics", "/schema.json"])
def test_descriptions_of_the_model_and_metrics_need_the_token(strict_service, path):
    assert strict_service.get(path).status_code == 401
    assert strict_service.get(path, authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs.json"])
def test_health_and_documentation_need_no_token(strict_service, path):
    assert strict_service.get(path).status_code == 200


def test_with_the_token(strict_service, picture):
    assert (
        strict_service.post("/vectorize", picture, authorization=f"Bearer {TOKEN}").status_code
        == 200
    )


def test_the_token_is_never_in_the_log(strict_service):
    strict_service.post("/vectorize", b"x", authorization=f"Bearer {TOKEN}")
    assert TOKEN not in strict_service.log.read_text()
