"""A Milvus server's addresses in; whether it does its work, and its version, out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from clipstack.errors import ClipstackError
from clipstack.health.probes.http import Asker, silent, within
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look
from clipstack.index.milvus.round_trip import round_trip
from clipstack.index.milvus.rpc_probe import Answer, Trouble, ask
from clipstack.index.milvus.server import Tls


@dataclass(frozen=True, slots=True)
class Access:
    """How a Milvus is reached.

    Attributes:
        health: URL of its second port, "" where it is not to be had.
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


def probe(access: Access, seconds: float, *, deep: bool = False) -> Probe:
    """GET /healthz, and over RPC the version, CheckHealth, the collections and a real query.

    Args:
        seconds: for all of it.
        deep: also write: make a collection, fill, index, load and search it, and drop it.
    """
    until = time.monotonic() + seconds

    def work(notes: Notes) -> None:
        try:
            answer = ask(
                access.uri,
                token=access.token,
                database=access.database,
                tls=access.tls,
                preferred=access.collection,
                seconds=max(0.1, until - time.monotonic()),
            )
        except ClipstackError as error:
            raise UnwellError(ProbeStatus.DOWN, error.message, error.hint) from None
        notes.version = answer.version
        _judge(answer, access, seconds)
        if access.health:
            _healthz(access.health, until - time.monotonic())
        if answer.queried:
            notes.reason = f"{answer.queried} answers: {answer.rows} rows"
        if deep:
            _write(access, until)

    return look("milvus", access.uri, work)


def _judge(answer: Answer, access: Access, seconds: float) -> None:
    asked = f"asked for {answer.step}"
    if answer.trouble is Trouble.TOKEN:
        raise UnwellError(
            ProbeStatus.DEGRADED,
            "it does not accept the token" if access.token else "it asks for a token",
            "Put user:password, or an API key, into CLIPSTACK_MILVUS_TOKEN.",
        )
    if answer.trouble is Trouble.SILENT:
        if not answer.version:
            raise UnwellError(ProbeStatus.DOWN, silent(seconds))
        raise UnwellError(
            ProbeStatus.DEGRADED, f"{asked}, it gives no answer {within(seconds)}", _LOGS
        )
    if answer.trouble is Trouble.REFUSED:
        raise UnwellError(ProbeStatus.DOWN, _unreachable(access.uri, answer.said))
    if answer.trouble is Trouble.FAILED:
        raise UnwellError(ProbeStatus.DEGRADED, f"{asked}, it fails: {answer.said[:300]}", _LOGS)
    if answer.complaints:
        said = "; ".join(answer.complaints)
        raise UnwellError(ProbeStatus.DEGRADED, f"it calls itself unhealthy: {said[:300]}", _LOGS)


_LOGS = "`clipstack logs milvus` says more."


def _unreachable(uri: str, said: str) -> str:
    where = uri.partition("://")[2].rstrip("/")
    if "refused" in said.lower():
        return f"nothing listens on {where}"
    return f"{where} can't be reached: {said[:200]}"


def _healthz(url: str, seconds: float) -> None:
    with Asker(url, max(0.1, seconds)) as http:
        found = http("GET", "/healthz")
    if found.status_code != 200:
        said = " ".join(found.text.split())[:200]
        raise UnwellError(ProbeStatus.DEGRADED, f"it calls itself unhealthy: {said}", _LOGS)


def _write(access: Access, until: float) -> None:
    try:
        round_trip(
            access.uri,
            token=access.token,
            database=access.database,
            tls=access.tls,
            seconds=until - time.monotonic(),
        )
    except ClipstackError as error:
        raise UnwellError(ProbeStatus.DEGRADED, error.message, error.hint or _LOGS) from None
