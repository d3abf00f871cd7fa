"""An encoder service's address in; whether it encodes, and its model, out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clipstack.health.probes.http import Asker, document
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look

if TYPE_CHECKING:
    import httpx

_TEXT = b"a picture of health"


def probe(
    url: str, token: str, seconds: float, *, name: str = "bentoml", proxies: bool = False
) -> Probe:
    """/readyz, /model, and one text encoded.

    Args:
        url: of the service.
        token: what it asks for, or "".
        seconds: for all of it.
        name: of the probe.
        proxies: whether HTTP_PROXY and its like count.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def work(notes: Notes) -> None:
        with Asker(url, seconds, proxies=proxies) as ask:
            ready = ask("GET", "/readyz")
            model = ask("GET", "/model", headers=headers)
            _check_token(model, token)
            if ready.status_code != 200:
                raise _not_ready(ask, model)
            if model.status_code != 200 or "dimension" not in document(model):
                raise UnwellError(
                    ProbeStatus.DEGRADED,
                    "what answers there is no service of clipstack's",
                    "Start one with `clipstack serve` or `clipstack up`.",
                )
            facts = document(model)
            notes.version = str(facts["id"])
            encoded = ask(
                "POST",
                "/vectorize_text",
                headers={**headers, "Content-Type": "text/plain"},
                content=_TEXT,
            )
            _check_vector(encoded, int(facts["dimension"]))

    return look(name, url, work)


def _check_token(response: httpx.Response, token: str) -> None:
    if response.status_code in (401, 403):
        raise UnwellError(
            ProbeStatus.DEGRADED,
            "it does not accept the token" if token else "it asks for a token",
            "Put the service's token into CLIPSTACK_ENCODER_TOKEN.",
        )


def _not_ready(ask: Asker, model: httpx.Response) -> UnwellError:
    alive = ask("GET", "/livez").status_code == 200
    said = str(document(model).get("error", ""))
    if not alive:
        reason = "it is not alive by its own word"
    elif "can't be loaded" in said:
        return UnwellError(
            ProbeStatus.DEGRADED,
            f"alive, but {said}",
            "Build its image again with `clipstack build`, or serve another model.",
        )
    else:
        reason = "alive, but its model is not loaded yet"
    return UnwellError(
        ProbeStatus.DEGRADED,
        reason,
        "Wait for it with `clipstack health --wait`; its log says more.",
    )


def _check_vector(response: httpx.Response, dimension: int) -> None:
    said = document(response)
    if response.status_code != 200:
        reason = str(said.get("error", "")) or f"status {response.status_code}"
        busy = response.status_code == 503
        raise UnwellError(
            ProbeStatus.DEGRADED,
            f"it can't encode: {reason}",
            "Try again later, or give it more workers." if busy else "Its log says more.",
        )
    vector = said.get("vector")
    if not isinstance(vector, list) or len(vector) != dimension:
        length = len(vector) if isinstance(vector, list) else 0
        raise UnwellError(
            ProbeStatus.DEGRADED, f"its vector has {length} numbers, not {dimension}", "Restart it."
        )
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in vector):
        raise UnwellError(
            ProbeStatus.DEGRADED, "its vector holds numbers that are not finite", "Restart it."
        )
