"""The start of the service with two workers or without a model, and its configuration."""

from __future__ import annotations

import contextlib
import time

import httpx
import numpy as np
import pytest

from clipstack.errors import UsageError
from clipstack.service.configuration import ServiceConfiguration, from_environment
from tests.serving import served


def test_alive_at_once_and_ready_after_loading(tmp_path, encoder):
    statuses = []
    deadline = time.monotonic() + 240
    with served(tmp_path, wait=False, CLIPSTACK_SERVICE_WORKERS="2") as service:
        while time.monotonic() < deadline and statuses[-1:] != [(200, 200)]:
            with contextlib.suppress(httpx.TransportError):
                assert service.get("/livez").status_code == 200
                ready = service.get("/readyz").status_code
                response = service.post("/vectorize_text", "dog", "text/plain")
                statuses.append((ready, response.status_code))
                if response.status_code == 503:
                    assert int(response.headers["retry-after"]) >= 1
                    assert "loaded" in response.json()["error"]
            time.sleep(0.05)
        assert (503, 503) in statuses
        assert statuses[-1] == (200, 200)
        # Two workers response, each when it is ready.
        vectors = []
        while len(vectors) < 40:
            response = service.post("/vectorize_text", "dog", "text/plain")
            if response.status_code == 200:
                vectors.append(response.json()["vector"])
        np.testing.assert_allclose(vectors, [encoder.encode_texts(["dog"])[0]] * 40, atol=1e-4)


def test_a_missing_model_ends_the_start(tmp_path):
    with served(tmp_path, wait=False, CLIPSTACK_MODEL="/no/such/model") as service:
        service.process.wait(120)
        log = service.log.read_text()
    assert "there is no model folder /no/such/model" in log
    assert "Traceback" not in log


def test_configuration_comes_from_the_environment():
    assert from_environment({}) == ServiceConfiguration()
    variables = {"CLIPSTACK_SERVICE_TOKEN": "x", "CLIPSTACK_SERVICE_WAIT": "2.5"}
    assert from_environment(variables) == ServiceConfiguration(token="x", wait=2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH", "0"),
        ("BATCH", "many"),
        ("WAIT", "-1"),
        ("WAIT", "nan"),
        ("TOKEN", "a b"),
        ("TOKEN", "é"),
        ("QUEUE", "10"),
    ],
)
def test_invalid_configuration(name, value):
    with pytest.raises(UsageError, match=f"CLIPSTACK_SERVICE_{name}"):
        from_environment({f"CLIPSTACK_SERVICE_{name}": value})
