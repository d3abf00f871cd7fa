"""The probe of etcd."""

from __future__ import annotations

from clipstack.health.probes.http import ProbeClient, json_object
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)

# Any key, from the first possible one on: https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
_ANY_KEY = {"key": "AA==", "range_end": "AA==", "limit": 1, "keys_only": True}


def probe(url: str, seconds: float) -> ProbeResult:
    """GET /health and /version, and a linearizable read through the v3 JSON gateway.

    Args:
        url: of the client port.
        seconds: for all of it.
    """

    def work(notes: ProbeNotes) -> None:
        with ProbeClient(url, seconds) as client:
            version = client.request("GET", "/version")
            notes.version = str(json_object(version).get("etcdserver", ""))
            if not notes.version:
                raise ProbeError(ProbeStatus.DEGRADED, "what answers there is not etcd")
            health = json_object(client.request("GET", "/health"))
            if health.get("health") != "true":
                reason = str(health.get("reason", "")) or "it reports that it is unhealthy"
                full = "NOSPACE" in reason
                raise ProbeError(
                    ProbeStatus.DEGRADED,
                    "its space quota is used up: it refuses writes" if full else reason,
                    "See https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota."
                    if full
                    else "`clipstack logs etcd` says more.",
                )
            read = client.request("POST", "/v3/kv/range", json=_ANY_KEY)
            if read.status_code != 200 or "header" not in json_object(read):
                reason = str(json_object(read).get("error", "")) or f"status {read.status_code}"
                raise ProbeError(
                    ProbeStatus.DEGRADED,
                    f"it can't be read: {reason}",
                    "See `clipstack logs etcd`.",
                )

    return run_probe("etcd", url, work)
