"""The probe of a Milvus server."""

from __future__ import annotations

import time
from dataclasses import dataclass

from clipstack.errors import ClipstackError
from clipstack.health.probes.http import ProbeClient, silence_reason, unreachable_reason, within
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)
from clipstack.index.milvus.connection import Tls
from clipstack.index.milvus.rpc_probe import RpcFailure, RpcProbe, probe_rpc
from clipstack.index.milvus.write_probe import probe_writes


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """How to reach a Milvus server.

    Attributes:
        uri: http://host:port, or https:// for TLS.
        health: URL of its port for health checks, "" if that can't be reached.
        token: user:password or an API key, "" for none.
        database: of that server; "" for its default.
        collection: the one to query, if it is loaded.
    """

    uri: str
    health: str = ""
    token: str = ""
    database: str = ""
    tls: Tls = Tls()
    collection: str = ""


def probe(address: MilvusAddress, seconds: float, *, deep: bool = False) -> ProbeResult:
    """GET /healthz, and over RPC the version, CheckHealth, the collections and a query.

    Args:
        seconds: for all of it.
        deep: whether to write to a temporary collection and search it too.
    """
    until = time.monotonic() + seconds

    def work(notes: ProbeNotes) -> None:
        try:
            answer = probe_rpc(
                address.uri,
                token=address.token,
                database=address.database,
                tls=address.tls,
                preferred=address.collection,
                seconds=max(0.1, until - time.monotonic()),
            )
        except ClipstackError as error:
            raise ProbeError(ProbeStatus.DOWN, error.message, error.hint) from None
        notes.version = answer.version
        _check_rpc(answer, address, seconds)
        if address.health:
            _check_healthz(address.health, until - time.monotonic())
        if answer.queried_collection:
            notes.reason = f"{answer.queried_collection} answers: {answer.queried_rows} rows"
        if deep:
            _check_writes(address, until)

    return run_probe("milvus", address.uri, work)


_LOGS = "`clipstack logs milvus` says more."


def _check_rpc(answer: RpcProbe, address: MilvusAddress, seconds: float) -> None:
    if answer.failure is RpcFailure.TOKEN:
        raise ProbeError(
            ProbeStatus.DEGRADED,
            "it does not accept the token" if address.token else "it asks for a token",
            "Put user:password, or an API key, into CLIPSTACK_MILVUS_TOKEN.",
        )
    if answer.failure is RpcFailure.TIMEOUT and not answer.version:
        raise ProbeError(ProbeStatus.DOWN, silence_reason(seconds))
    if answer.failure is RpcFailure.REFUSED:
        host = address.uri.partition("://")[2].rstrip("/")
        raise ProbeError(ProbeStatus.DOWN, unreachable_reason(host, answer.detail))
    if answer.failure is RpcFailure.TIMEOUT:
        reason = f"asked for {answer.step}, it gives no answer {within(seconds)}"
    elif answer.failure is RpcFailure.ERROR:
        reason = f"asked for {answer.step}, it fails: {answer.detail[:300]}"
    elif answer.unhealthy_reasons:
        reason = f"it reports that it is unhealthy: {'; '.join(answer.unhealthy_reasons)[:300]}"
    else:
        return
    raise ProbeError(ProbeStatus.DEGRADED, reason, _LOGS)


def _check_healthz(url: str, seconds: float) -> None:
    with ProbeClient(url, max(0.1, seconds)) as client:
        response = client.request("GET", "/healthz")
    if response.status_code != 200:
        text = " ".join(response.text.split())[:200]
        raise ProbeError(ProbeStatus.DEGRADED, f"it reports that it is unhealthy: {text}", _LOGS)


def _check_writes(address: MilvusAddress, until: float) -> None:
    try:
        probe_writes(
            address.uri,
            token=address.token,
            database=address.database,
            tls=address.tls,
            seconds=until - time.monotonic(),
        )
    except ClipstackError as error:
        raise ProbeError(ProbeStatus.DEGRADED, error.message, error.hint or _LOGS) from None
