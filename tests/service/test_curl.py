"""The lines that people type, as they type them; the port only changes where 3000 is taken."""

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
    with served(folder, "service:vectorization", port=3000) as running:
        yield running


@pytest.fixture(params=["service", "vectorization"])
def named(request: pytest.FixtureRequest) -> Served:
    return request.getfixturevalue(request.param)


def curl(named: Served, line: str) -> str:
    words = shlex.split(line.replace(":3000", f":{named.port}"))
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + (done.stderr if "-v" in words else "")


def test_health_and_metrics(named):
    assert "200 OK" in curl(named, "curl -v http://127.0.0.1:3000/livez")
    metrics = curl(named, "curl http://127.0.0.1:3000/metrics")
    assert "clipstack_batch_size_bucket" in metrics
    assert "bentoml_service_request_duration_seconds" in metrics


@pytest.mark.parametrize("endpoint", ["vectorize", "vectorize_image"])
def test_a_picture(named, endpoint, image_jpg, vector_of):
    said = curl(
        named,
        'curl -X POST -H "Content-Type: image/jpeg" --data-binary @image.jpg '
        f"http://127.0.0.1:3000/{endpoint}",
    )
    answer = json.loads(said)
    assert list(answer) == ["vector"]
    np.testing.assert_allclose(answer["vector"], vector_of(image_jpg.read_bytes()), atol=1e-4)


def test_a_text(named, encoder):
    said = curl(
        named,
        'curl -X POST -H "Content-Type: text/plain" -d "dog" http://127.0.0.1:3000/vectorize_text',
    )
    np.testing.assert_allclose(
        json.loads(said)["vector"], encoder.encode_texts(["dog"])[0], atol=1e-4
    )
