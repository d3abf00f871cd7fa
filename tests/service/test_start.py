"""From nothing to ready, with one worker or two, or with a reason why not."""

from __future__ import annotations

import contextlib
import time

import httpx
import numpy as np
import pytest

from clipstack.errors import UsageError
from clipstack.service.configuration import ServiceConfiguration, from_environment
from tests.serving import served


def test_alive_at_once_and_ready_when_it_encodes(tmp_path, encoder):
    seen = []
    until = time.monotonic() + 240
    with served(tmp_path, wait=False, CLIPSTACK_SERVICE_WORKERS="2") as service:
        while time.monotonic() < until and seen[-1:] != [(200, 200)]:
            with contextlib.suppress(httpx.TransportError):
                assert service.get("/livez").status_code == 200
                ready = service.get("/readyz").status_code
                answer = service.post("/vectorize_text", "dog", "text/plain")
                seen.append((ready, answer.status_code))
                if answer.status_code == 503:
                    assert int(answer.headers["retry-after"]) >= 1
                    assert "loaded" in answer.json()["error"]
            time.sleep(0.05)
        assert (503, 503) in seen
        assert seen[-1] == (200, 200)
        # Two workers answer, each when it is ready.
        answers = []
        while len(answers) < 40:
            answer = service.post("/vectorize_text", "dog", "text/plain")
            if answer.status_code == 200:
                answers.append(answer.json()["vector"])
        np.testing.assert_allclose(answers, [encoder.encode_texts(["dog"])[0]] * 40, atol=1e-4)


def test_a_model_that_is_not_there_ends_it(tmp_path):
    with served(tmp_path, wait=False, CLIPSTACK_MODEL="/no/such/model") as service:
        service.process.wait(120)
        log = service.log.read_text()
    assert "there is no model folder /no/such/model" in log
    assert "Traceback" not in log


def test_options_come_from_the_environment():
    assert from_environment({}) == ServiceConfiguration()
    given = {"CLIPSTACK_SERVICE_TOKEN": "x", "CLIPSTACK_SERVICE_WAIT": "2.5"}
    assert from_environment(given) == ServiceConfiguration(token="x", wait=2.5)


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
def test_options_that_make_no_sense(name, value):
    with pytest.raises(UsageError, match=f"CLIPSTACK_SERVICE_{name}"):
        from_environment({f"CLIPSTACK_SERVICE_{name}": value})
