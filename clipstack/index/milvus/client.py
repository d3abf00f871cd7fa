"""pymilvus' client with timeouts, retries, and errors that users can act on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from clipstack import net
from clipstack.index.milvus import errors
from clipstack.retry import InterruptError, RetryPolicy

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Seconds for one attempt. A read with strong consistency took 22 s after a restart of Milvus.
ATTEMPT_SECONDS = 30.0
# Seconds for one attempt where there is little time to wait, at least.
LEAST_SECONDS = 1.0
# Seconds for a server to answer that it is there.
_ALIVE_SECONDS = 2.0
# Seconds that a running call may take after Ctrl-C.
_GRACE_SECONDS = 4.0
# Idempotent calls; a repeated `insert` would duplicate every row.
_REPEATABLE = {
    *("has_collection", "list_collections", "describe_collection", "get_collection_stats"),
    *("query", "get", "search", "upsert", "flush", "create_index", "describe_index"),
    *("list_indexes", "load_collection", "release_collection", "get_load_state"),
    *("list_aliases", "get_compaction_state", "drop_collection", "get_compaction_plans", "delete"),
}
_LOCAL = {"close", "prepare_index_params", "create_schema"}


def grpc_options(host: str, port: int) -> dict[str, Any]:
    """Options of the gRPC channel to a server: its proxy, a deadline per attempt, quick reconnects.

    pymilvus' own `timeout` is how long it retries a call, and it would retry an insert whose
    response was lost, which duplicates every row. So pymilvus' retries are disabled, and gRPC has
    the deadline.

    Raises:
        UsageError: gRPC can't use the proxy that the environment names.
    """
    proxy = net.grpc_proxy_for(host, port)
    every = {"name": [{}], "timeout": f"{ATTEMPT_SECONDS:g}s"}
    return {
        "grpc.service_config": json.dumps({"methodConfig": [every]}),
        "grpc.enable_retries": 0,
        "grpc.initial_reconnect_backoff_ms": 500,
        "grpc.max_reconnect_backoff_ms": 2000,
        **({"grpc.http_proxy": proxy} if proxy else {"grpc.enable_http_proxy": 0}),
    }


class Client:
    """A MilvusClient whose errors are ClipstackErrors.

    Every method is pymilvus' own. Idempotent ones are retried for as long as `retry_policy` allows,
    which counts from the start of the first call that fails. One that takes longer than that is
    given up only if the server does not answer anything else either.

    Args:
        client: a connected MilvusClient.
        address: of the server.
        retry_policy: for a server that becomes unavailable.
    """

    def __init__(self, client: MilvusClient, address: str, retry_policy: RetryPolicy) -> None:
        self._client = client
        self.address = address
        self._retry_policy = retry_policy
        self._outage = retry_policy.outage(f"Milvus at {address}")
        self._running: dict[int, float] = {}
        self._is_closed = False

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in _LOCAL or not callable(attribute):
            return attribute
        return partial(self._call, name)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        attempt = 0
        is_slow = False
        while True:
            started = time.monotonic()
            limit = {} if "timeout" in kwargs else self._limit(name, is_slow)
            try:
                response = self._attempt(getattr(self._client, name), *args, **limit | kwargs)
            except Exception as error:
                failure = errors.translate_error(error, self.address)
                if self._is_closed or (failure and failure.is_transient and self._is_stopped):
                    raise InterruptError from None
                if failure is None:
                    raise
                if not (failure.is_transient and name in _REPEATABLE):
                    raise failure.error from None
                if failure.is_timeout and "timeout" in limit and self._is_alive():
                    is_slow = True
                    continue
                self._outage.began(started)
                self._outage.wait(failure.error, attempt)
                attempt += 1
            else:
                self._outage.over()
                return response

    def _limit(self, name: str, is_slow: bool) -> dict[str, Any]:
        """Options that limit an attempt where the channel's limit is longer than the wait.

        Args:
            is_slow: whether the server was alive when the call took longer than that.
        """
        left = self._outage.seconds_left
        if is_slow or left >= ATTEMPT_SECONDS or name not in _REPEATABLE:
            return {"retry_times": 0}
        return {"timeout": max(LEAST_SECONDS, left - _ALIVE_SECONDS)}

    def _is_alive(self) -> bool:
        """Whether the server answers, however slow a call is."""
        try:
            self._client.get_server_version(timeout=_ALIVE_SECONDS)
        except Exception:
            return False
        return True

    def _attempt(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        key = threading.get_ident()
        self._running[key] = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            self._running.pop(key, None)

    @property
    def _is_stopped(self) -> bool:
        return self._retry_policy.stop.is_set()

    def close_after(self, stop: threading.Event) -> None:
        """Close the connection after `stop` is set, which ends calls that get no response with
        InterruptError."""
        threading.Thread(target=self._watch, args=(stop,), daemon=True).start()

    def _watch(self, stop: threading.Event) -> None:
        stop.wait()
        while True:
            is_away = self._outage.is_ongoing
            oldest = min(list(self._running.values()), default=time.monotonic())
            if time.monotonic() > oldest + (0.0 if is_away else _GRACE_SECONDS):
                self._is_closed = True
                self._client._get_connection().close()  # ends calls that run
                return
            time.sleep(0.1)
