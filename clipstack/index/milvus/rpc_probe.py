"""Whether a Milvus server does its work, and what is wrong with it where it does not.

This speaks Milvus' own RPCs through the stubs that pymilvus carries: pymilvus' client repeats what
fails instead of telling.
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

from clipstack.index.milvus.server import Tls, checked
from clipstack.index.schema import CollectionInfo

_LOOKED_AT = 16
_LOADED = 3  # LoadState.LoadStateLoaded in Milvus' common.proto
_STRONG = 0  # ConsistencyLevel.Strong, in the same file


class Trouble(StrEnum):
    """What kept a server from answering as it should."""

    NOTHING = ""
    REFUSED = "refused"
    SILENT = "silent"
    TOKEN = "token"
    FAILED = "failed"


@dataclass(slots=True)
class Answer:
    """What a Milvus server said, as far as it got.

    Attributes:
        version: the server's, "" when it did not say.
        collections: how many it has, or None when it did not say.
        queried: the loaded collection of clipstack's that answered a query, or "".
        rows: of that collection.
        complaints: what the server itself calls unhealthy.
        step: what was asked last, for the reason.
        trouble, said: what ended the questions, and its words.
    """

    version: str = ""
    collections: int | None = None
    queried: str = ""
    rows: int = 0
    complaints: tuple[str, ...] = ()
    step: str = ""
    trouble: Trouble = Trouble.NOTHING
    said: str = ""


def ask(
    uri: str,
    *,
    token: str = "",
    database: str = "",
    tls: Tls | None = None,
    preferred: str = "",
    seconds: float,
) -> Answer:
    """Ask a server for its version, its health and its collections, and query a loaded one.

    Args:
        uri: http://host:port, or https:// for TLS.
        token: user:password or an API key, "" for none.
        database: of that server; "" for its default.
        preferred: the collection to query if it is loaded.
        seconds: for all of it together.

    Raises:
        UsageError: the address is none, or a TLS file is not there.
    """
    answer = Answer()
    until = time.monotonic() + seconds
    with _channel(uri, tls or Tls()) as channel:
        import grpc

        conversation = _Conversation(channel, token, database, until, answer)
        try:
            conversation.run(preferred)
        except grpc.RpcError as error:
            answer.trouble, answer.said = _trouble(error)
        except _RefusedError as error:
            answer.trouble, answer.said = Trouble.FAILED, str(error)
    return answer


def prepare() -> None:
    """Import what `ask` needs, so that the time it takes is the server's."""
    importlib.import_module("pymilvus.grpc_gen.milvus_pb2_grpc")


class _RefusedError(Exception):
    """Milvus answered with an error of its own."""


class _Conversation:
    """The questions, one after the other, each within what is left of the time."""

    def __init__(
        self, channel: Any, token: str, database: str, until: float, answer: Answer
    ) -> None:
        from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

        self._messages: Any = milvus_pb2
        self._service: Any = milvus_pb2_grpc.MilvusServiceStub(channel)
        coded = base64.b64encode(token.encode()).decode()
        self._metadata = [("authorization", coded)] if token else []
        self._database = database
        self._until = until
        self._answer = answer

    def run(self, preferred: str) -> None:
        answer = self._answer
        answer.step = "its version"
        answer.version = self._call("GetVersion").version.removeprefix("v")
        answer.step = "its health"
        health = self._call("CheckHealth")
        if not health.isHealthy:
            answer.complaints = tuple(health.reasons) or ("it calls itself unhealthy",)
        answer.step = "its collections"
        names = list(self._call("ShowCollections", db_name=self._database).collection_names)
        answer.collections = len(names)
        names.sort(key=lambda name: name != preferred)
        for name in names[:_LOOKED_AT]:
            if self._is_ours_and_loaded(name):
                self._query(name)
                break

    def _is_ours_and_loaded(self, name: str) -> bool:
        self._answer.step = f"the state of {name}"
        which = {"collection_name": name, "db_name": self._database}
        if self._call("GetLoadState", **which).state != _LOADED:
            return False
        description = self._call("DescribeCollection", **which).schema.description
        return CollectionInfo.from_description(name, description) is not None

    def _query(self, name: str) -> None:
        self._answer.step = f"a query on {name}"
        found = self._call(
            "Query",
            collection_name=name,
            db_name=self._database,
            output_fields=["count(*)"],
            consistency_level=_STRONG,
        )
        self._answer.queried = name
        self._answer.rows = int(found.fields_data[0].scalars.long_data.data[0])

    def _call(self, method: str, **fields: Any) -> Any:
        request = getattr(self._messages, f"{method}Request")(**fields)
        left = max(0.05, self._until - time.monotonic())
        reply = getattr(self._service, method)(request, timeout=left, metadata=self._metadata)
        status = reply.status
        if status.code or status.error_code:
            raise _RefusedError(" ".join(status.reason.split()) or f"error {status.code}")
        return reply


@contextlib.contextmanager
def _channel(uri: str, tls: Tls) -> Iterator[Any]:
    import grpc

    parts = checked(uri)
    tls.options()  # raises for a file that is not there
    secure = parts.scheme == "https" or bool(tls.ca)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    address = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 19530)}"
    options = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
    if secure:
        if tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))  # type: ignore[arg-type]
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


def _trouble(error: Any) -> tuple[Trouble, str]:
    """What a failed RPC means: https://grpc.github.io/grpc/core/md_doc_statuscodes.html"""
    import grpc

    code = error.code()
    said = " ".join(str(error.details() or code.name).split())
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Trouble.SILENT, "no answer in time"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Trouble.TOKEN, said
    if code == grpc.StatusCode.UNAVAILABLE:
        return Trouble.REFUSED, said
    return Trouble.FAILED, said
