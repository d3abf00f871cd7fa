"""A probe of a Milvus server over gRPC: its version, health and collections, and a query.

It calls Milvus' RPCs through the stubs that pymilvus includes: pymilvus' client would retry failed
calls instead of reporting them. In the end it connects with that client, as imports and searches
do.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from clipstack import net
from clipstack.errors import ClipstackError
from clipstack.index.milvus.client import grpc_options
from clipstack.index.milvus.connection import MilvusConnection, Tls, host_and_port, parse_uri
from clipstack.index.schema import CollectionInfo

_MAX_COLLECTIONS = 16
_LOAD_STATE_LOADED = 3  # LoadState.LoadStateLoaded in Milvus' common.proto
_CONSISTENCY_STRONG = 0  # ConsistencyLevel.Strong, in the same file


class RpcFailure(StrEnum):
    """Why a probe ended early."""

    NONE = ""
    REFUSED = "refused"
    TIMEOUT = "silent"
    TOKEN = "token"
    ERROR = "failed"


@dataclass(slots=True)
class RpcProbe:
    """The result of a probe, as far as it got.

    Attributes:
        version: of the server; "" if unknown.
        collections: number of collections; None if unknown.
        queried_collection: the loaded collection of clipstack that answered a query, or "".
        queried_rows: number of its rows.
        unhealthy_reasons: why the server reports itself unhealthy.
        step: the last request, in words.
        failure: why the probe ended early; detail: in the server's words.
    """

    version: str = ""
    collections: int | None = None
    queried_collection: str = ""
    queried_rows: int = 0
    unhealthy_reasons: tuple[str, ...] = ()
    step: str = ""
    failure: RpcFailure = RpcFailure.NONE
    detail: str = ""


def probe_rpc(
    uri: str,
    *,
    token: str = "",
    database: str = "",
    tls: Tls | None = None,
    preferred: str = "",
    seconds: float,
) -> RpcProbe:
    """Request a server's version, health and collections, query a loaded collection, and connect
    as an import or a search does.

    Args:
        uri: http://host:port, or https:// for TLS.
        token: user:password or an API key, "" for none.
        database: of that server; "" for its default.
        preferred: the collection to query if it is loaded.
        seconds: for the whole probe.

    Raises:
        UsageError: the address is invalid, or a TLS file does not exist.
    """
    probe = RpcProbe()
    deadline = time.monotonic() + seconds
    with _channel(uri, tls or Tls()) as channel:
        import grpc

        probe_run = _ProbeRun(channel, token, database, deadline, probe)
        try:
            probe_run.run(preferred)
        except grpc.RpcError as error:
            probe.failure, probe.detail = _classify(error)
        except _MilvusStatusError as error:
            probe.failure, probe.detail = RpcFailure.ERROR, str(error)
    if not probe.failure:
        probe.step = "a connection for imports and searches"
        try:
            MilvusConnection(uri, token=token, database=database, tls=tls, wait=0).close()
        except ClipstackError as error:
            probe.failure, probe.detail = RpcFailure.ERROR, error.message
    return probe


def prepare() -> None:
    """Import what `probe_rpc` needs, so that its time does not count as the server's."""
    importlib.import_module("pymilvus.grpc_gen.milvus_pb2_grpc")
    importlib.import_module("pymilvus")


class _MilvusStatusError(Exception):
    """Milvus responded with an error status."""


class _ProbeRun:
    """The requests of a probe, each with the remaining time as its timeout."""

    def __init__(
        self, channel: Any, token: str, database: str, deadline: float, probe: RpcProbe
    ) -> None:
        from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

        self._messages: Any = milvus_pb2
        self._service: Any = milvus_pb2_grpc.MilvusServiceStub(channel)
        credentials = base64.b64encode(token.encode()).decode()
        self._metadata = [("authorization", credentials)] if token else []
        self._database = database
        self._deadline = deadline
        self._probe = probe

    def run(self, preferred: str) -> None:
        probe = self._probe
        probe.step = "its version"
        probe.version = self._call("GetVersion").version.removeprefix("v")
        probe.step = "its health"
        health = self._call("CheckHealth")
        if not health.isHealthy:
            probe.unhealthy_reasons = tuple(health.reasons) or ("it calls itself unhealthy",)
        probe.step = "its collections"
        names = list(self._call("ShowCollections", db_name=self._database).collection_names)
        probe.collections = len(names)
        names.sort(key=lambda name: name != preferred)
        for name in names[:_MAX_COLLECTIONS]:
            if self._is_ours_and_loaded(name):
                self._query(name)
                break

    def _is_ours_and_loaded(self, name: str) -> bool:
        self._probe.step = f"the state of {name}"
        request = {"collection_name": name, "db_name": self._database}
        if self._call("GetLoadState", **request).state != _LOAD_STATE_LOADED:
            return False
        description = self._call("DescribeCollection", **request).schema.description
        return CollectionInfo.from_description(name, description) is not None

    def _query(self, name: str) -> None:
        self._probe.step = f"a query on {name}"
        response = self._call(
            "Query",
            collection_name=name,
            db_name=self._database,
            output_fields=["count(*)"],
            consistency_level=_CONSISTENCY_STRONG,
        )
        self._probe.queried_collection = name
        self._probe.queried_rows = int(response.fields_data[0].scalars.long_data.data[0])

    def _call(self, method: str, **fields: Any) -> Any:
        request = getattr(self._messages, f"{method}Request")(**fields)
        remaining = max(0.05, self._deadline - time.monotonic())
        response = getattr(self._service, method)(
            request, timeout=remaining, metadata=self._metadata
        )
        status = response.status
        if status.code or status.error_code:
            raise _MilvusStatusError(" ".join(status.reason.split()) or f"error {status.code}")
        return response


@contextlib.contextmanager
def _channel(uri: str, tls: Tls) -> Iterator[Any]:
    import grpc

    host, port = host_and_port(uri)
    tls.options()  # raises if a file does not exist
    secure = parse_uri(uri).scheme == "https"
    address = net.host_and_port(host, port)
    options = list(grpc_options(host, port).items())
    if secure:
        if tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        credentials = grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.cert))
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address, options)
    try:
        yield channel
    finally:
        channel.close()


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _classify(error: Any) -> tuple[RpcFailure, str]:
    """The kind of a failed RPC: https://grpc.github.io/grpc/core/md_doc_statuscodes.html"""
    import grpc

    code = error.code()
    detail = " ".join(str(error.details() or code.name).split())
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return RpcFailure.TIMEOUT, "no answer in time"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return RpcFailure.TOKEN, detail
    if code == grpc.StatusCode.UNAVAILABLE:
        return RpcFailure.REFUSED, detail
    return RpcFailure.ERROR, detail
