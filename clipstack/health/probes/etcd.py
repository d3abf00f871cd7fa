"""etcd's address in; whether it reads, and its version, out."""

from __future__ import annotations

from clipstack.health.probes.http import Asker, document
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look

# Any one key: from the first possible one on. https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
_ANY_KEY = {"key": "AA==", "range_end": "AA==", "limit": 1, "keys_only": True}


def probe(url: str, seconds: float) -> Probe:
    """GET /health and /version, and a linearizable read through the v3 JSON gateway.

    Args:
        url: of its client port.
        seconds: for all of it.
    """

    def work(notes: Notes) -> None:
        with Asker(url, seconds) as ask:
            said = ask("GET", "/version")
            notes.version = str(document(said).get("etcdserver", ""))
            if not notes.version:
                raise UnwellError(ProbeStatus.DEGRADED, "what answers there is not etcd")
            health = document(ask("GET", "/health"))
            if health.get("health") != "true":
                reason = str(health.get("reason", "")) or "it calls itself unhealthy"
                full = "NOSPACE" in reason
                raise UnwellError(
                    ProbeStatus.DEGRADED,
                    "its quota of disk space is used up: it takes no writes" if full else reason,
                    "See https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota."
                    if full
                    else "`clipstack logs etcd` says more.",
                )
            read = ask("POST", "/v3/kv/range", json=_ANY_KEY)
            if read.status_code != 200 or "header" not in document(read):
                said_error = str(document(read).get("error", "")) or f"status {read.status_code}"
                raise UnwellError(
                    ProbeStatus.DEGRADED,
                    f"it can't be read: {said_error}",
                    "See `clipstack logs etcd`.",
                )

    return look("etcd", url, work)
