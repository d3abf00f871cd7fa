"""The probe of an encoder service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clipstack.health.probes.http import ProbeClient, json_object
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)

if TYPE_CHECKING:
    import httpx

_TEXT = b"a picture of health"


def probe(url: str, token: str, seconds: float, *, name: str = "bentoml") -> ProbeResult:
    """GET /readyz and /model, and encode a text.

    Args:
        url: of the service.
        token: of the service, or "".
        seconds: for all of it.
        name: of the service in the result.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def work(notes: ProbeNotes) -> None:
        with ProbeClient(url, seconds) as client:
            ready = client.request("GET", "/readyz")
            model = client.request("GET", "/model", headers=headers)
            _check_token(model, token)
            if ready.status_code != 200:
                raise _not_ready(client, model)
            if model.status_code != 200 or "dimension" not in json_object(model):
                raise ProbeError(
                    ProbeStatus.DEGRADED,
                    "what answers there is not a clipstack service",
                    "Start one with `clipstack serve` or `clipstack up`.",
                )
            info = json_object(model)
            notes.version = str(info["id"])
            encoded = client.request(
                "POST",
                "/vectorize_text",
                headers={**headers, "Content-Type": "text/plain"},
                content=_TEXT,
            )
            _check_vector(encoded, int(info["dimension"]))

    return run_probe(name, url, work)


def _check_token(response: httpx.Response, token: str) -> None:
    if response.status_code in (401, 403):
        raise ProbeError(
            ProbeStatus.DEGRADED,
            "it does not accept the token" if token else "it asks for a token",
            "Put the service's token into CLIPSTACK_ENCODER_TOKEN.",
        )


def _not_ready(client: ProbeClient, model: httpx.Response) -> ProbeError:
    alive = client.request("GET", "/livez").status_code == 200
    error = str(json_object(model).get("error", ""))
    if not alive:
        reason = "it reports that it is not alive"
    elif "can't be loaded" in error:
        return ProbeError(
            ProbeStatus.DEGRADED,
            f"alive, but {error}",
            "Build its image again with `clipstack build`, or serve another model.",
        )
    else:
        reason = "alive, but its model is not loaded yet"
    return ProbeError(
        ProbeStatus.DEGRADED,
        reason,
        "Wait for it with `clipstack health --wait`; its log says more.",
    )


def _check_vector(response: httpx.Response, dimension: int) -> None:
    document = json_object(response)
    if response.status_code != 200:
        reason = str(document.get("error", "")) or f"status {response.status_code}"
        busy = response.status_code == 503
        raise ProbeError(
            ProbeStatus.DEGRADED,
            f"it can't encode: {reason}",
            "Try again later, or give it more workers." if busy else "Its log says more.",
        )
    vector = document.get("vector")
    if not isinstance(vector, list) or len(vector) != dimension:
        length = len(vector) if isinstance(vector, list) else 0
        raise ProbeError(
            ProbeStatus.DEGRADED, f"its vector has {length} numbers, not {dimension}", "Restart it."
        )
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in vector):
        raise ProbeError(
            ProbeStatus.DEGRADED, "its vector has numbers that are not finite", "Restart it."
        )
