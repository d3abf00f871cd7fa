"""The curl commands of the documentation; the port differs only if 3000 is taken."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from tests.serving import Served, served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def vectorization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service by its other name."""
    folder = tmp_path_factory.mktemp("vectorization")
    with served(folder, "service:vectorization", port=3000) as service:
        yield service


@pytest.fixture(params=["service", "vectorization"])
def any_service(request: pytest.FixtureRequest) -> Served:
    return request.getfixturevalue(request.param)


def curl(any_service: Served, line: str) -> str:
    words = shlex.split(line.replace(":3000", f":{any_service.port}"))
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout + (result.stderr if "-v" in words else "")


def test_health_and_metrics(any_service):
    assert "200 OK" in curl(any_service, "curl -v http://127.0.0.1:3000/livez")
    metrics = curl(any_service, "curl http://127.0.0.1:3000/metrics")
    assert "clipstack_batch_size_bucket" in metrics
    assert "bentoml_service_request_duration_seconds" in metrics


@pytest.mark.parametrize("endpoint", ["vectorize", "vectorize_image"])
def test_a_picture(any_service, endpoint, image_jpg, vector_of):
    body = curl(
        any_service,
        'curl -X POST -H "Content-Type: image/jpeg" --data-binary @image.jpg '
        f"http://127.0.0.1:3000/{endpoint}",
    )
    response = json.loads(body)
    assert list(response) == ["vector"]
    np.testing.assert_allclose(response["vector"], vector_of(image_jpg.read_bytes()), atol=1e-4)


def test_a_text(any_service, encoder):
    body = curl(
        any_service,
        'curl -X POST -H "Content-Type: text/plain" -d "dog" http://127.0.0.1:3000/vectorize_text',
    )
    np.testing.assert_allclose(
        json.loads(body)["vector"], encoder.encode_texts(["dog"])[0], atol=1e-4
    )
