"""pymilvus' client, with an end in time for every call and errors that users can act on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from clipstack.index.milvus import errors
from clipstack.retry import InterruptError, RetryPolicy

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Seconds for one attempt. A read with strong consistency took 22 s after a restart of Milvus.
ATTEMPT_SECONDS = 30.0
# What an unfinished write may take after Ctrl-C.
_GRACE_SECONDS = 4.0
# Calls that do no harm when they happen twice; an `insert` would leave every row twice.
_REPEATABLE = {
    *("has_collection", "list_collections", "describe_collection", "get_collection_stats"),
    *("query", "get", "search", "upsert", "flush", "create_index", "describe_index"),
    *("list_indexes", "load_collection", "release_collection", "get_load_state"),
    *("list_aliases", "get_compaction_state", "drop_collection", "get_compaction_plans", "delete"),
}
_LOCAL = {"close", "prepare_index_params", "create_schema"}


def grpc_options() -> dict[str, Any]:
    """Options of the channel: an attempt's end in time, and quick attempts to connect again.

    pymilvus' own `timeout` is how long it goes on repeating a call, and it would repeat an insert
    whose answer was lost: every row of it twice. So it is told not to repeat anything, and gRPC
    has the deadline.
    """
    every = {"name": [{}], "timeout": f"{ATTEMPT_SECONDS:g}s"}
    return {
        "grpc.service_config": json.dumps({"methodConfig": [every]}),
        "grpc.enable_retries": 0,
        "grpc.initial_reconnect_backoff_ms": 500,
        "grpc.max_reconnect_backoff_ms": 2000,
    }


class Client:
    """A MilvusClient whose errors are ClipstackErrors.

    Every method is pymilvus' own. Those that may be repeated are, for as long as `patience` lasts.

    Args:
        client: a connected MilvusClient.
        where: the server's address.
        patience: with a server that goes away.
    """

    def __init__(self, client: MilvusClient, where: str, patience: RetryPolicy) -> None:
        self._client = client
        self.where = where
        self._patience = patience
        self._outage = patience.outage(f"Milvus at {where}")
        self._running: dict[int, float] = {}
        self._cut = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in _LOCAL or not callable(found):
            return found
        return partial(self._call, name)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        options = kwargs if "timeout" in kwargs else {"retry_times": 0, **kwargs}
        attempt = 0
        while True:
            try:
                answer = self._attempt(getattr(self._client, name), *args, **options)
            except Exception as error:
                fault = errors.of(error, self.where)
                if self._cut or (fault and fault.passing and self._is_stopped):
                    raise InterruptError from None
                if fault is None:
                    raise
                if not (fault.passing and name in _REPEATABLE):
                    raise fault.error from None
                self._outage.wait(fault.error, attempt)
                attempt += 1
            else:
                self._outage.over()
                return answer

    def _attempt(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        key = threading.get_ident()
        self._running[key] = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            self._running.pop(key, None)

    @property
    def _is_stopped(self) -> bool:
        return self._patience.stop.is_set()

    def cut_off_after(self, stop: threading.Event) -> None:
        """Once `stop` is set, end the calls that Milvus gives no answer to, with Interrupted."""
        threading.Thread(target=self._watch, args=(stop,), daemon=True).start()

    def _watch(self, stop: threading.Event) -> None:
        stop.wait()
        while True:
            away = self._outage.lasts
            oldest = min(list(self._running.values()), default=time.monotonic())
            if time.monotonic() > oldest + (0.0 if away else _GRACE_SECONDS):
                self._cut = True
                self._client._get_connection().close()  # ends calls that run
                return
            time.sleep(0.1)
