"""A probe of a Milvus server that writes rows to a temporary collection and searches them."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import Any

from clipstack.errors import ClipstackError
from clipstack.index.milvus.connection import MilvusConnection, Tls

_PREFIX = "clipstack_health_"
_ABANDONED_SECONDS = 600.0
_DROP_SECONDS = 5.0


def probe_writes(
    uri: str, *, token: str = "", database: str = "", tls: Tls | None = None, seconds: float
) -> None:
    """Create a temporary collection, insert, flush, index, load and search, and drop it.

    Args:
        as for `rpc_probe.probe_rpc`.

    Raises:
        ClipstackError: a step failed or took too long; the message names it.
        UnreachableError: nothing answers, or it refuses the token.
    """
    with MilvusConnection(uri, token=token, database=database, tls=tls, wait=0) as connection:
        _drop_abandoned(connection.client)
        probe = WriteProbe(connection.client, seconds)
        try:
            probe.run()
        except Exception as error:  # pymilvus raises many kinds
            reason = " ".join(str(getattr(error, "message", "") or error).split())[:200]
            raise ClipstackError(f"a temporary collection: {probe.step} fails: {reason}") from None


class WriteProbe:
    """A temporary collection that is written, searched and dropped.

    Attributes:
        step: what it does at present, or what failed.

    Args:
        client: of a MilvusConnection.
        seconds: for all steps together.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        self._client = client
        self._name = f"{_PREFIX}{time.time():.0f}_{secrets.token_hex(4)}"
        self._drop_seconds = min(_DROP_SECONDS, seconds / 2)
        self._deadline = time.monotonic() + seconds - self._drop_seconds
        self.step = "creating"

    def run(self, *, flush: bool = True) -> float:
        """Do all steps; returns the seconds that the search took.

        Args:
            flush: whether to write to the object store too, which takes seconds.

        Raises:
            ClipstackError: the row that was inserted is not found.
            Exception: pymilvus', of the step that failed.
        """
        try:
            return self._run(flush)
        finally:
            with contextlib.suppress(Exception):
                self._client.drop_collection(self._name, timeout=self._drop_seconds)

    def _run(self, flush: bool) -> float:
        from pymilvus import DataType

        client, name = self._client, self._name
        rows = [{"id": row, "vector": [float(row == at) for at in range(8)]} for row in range(8)]
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
        client.create_collection(name, schema=schema, timeout=self._remaining())
        self.step = "inserting"
        client.insert(name, rows, timeout=self._remaining())
        if flush:
            self.step = "flushing"
            client.flush(name, timeout=self._remaining())
        self.step = "indexing"
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        client.create_index(name, index, timeout=self._remaining())
        self.step = "loading"
        client.load_collection(name, timeout=self._remaining())
        self.step = "searching"
        started = time.monotonic()
        (hits,) = client.search(
            name, data=[rows[3]["vector"]], limit=1, consistency_level="Strong",
            timeout=self._remaining(),
        )  # fmt: skip
        if not hits or hits[0]["id"] != 3:
            raise ClipstackError("Milvus does not find the row that was just inserted")
        return time.monotonic() - started

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no time is left")
        return remaining


def _drop_abandoned(client: Any) -> None:
    """Drop collections that killed probes left behind."""
    for name in client.list_collections(timeout=_DROP_SECONDS):
        created_at = (
            name.removeprefix(_PREFIX).partition("_")[0] if name.startswith(_PREFIX) else ""
        )
        if created_at.isdecimal() and time.time() - int(created_at) > _ABANDONED_SECONDS:
            client.drop_collection(name, timeout=_DROP_SECONDS)
