"""Smoke tests of a started stack: a text is encoded, a vector searched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from clipstack import encoders
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.index.milvus.connection import MilvusConnection
from clipstack.index.milvus.write_probe import WriteProbe
from clipstack.retry import RetryPolicy

_TEXT = "a red circle"
_PAUSE = 1.0
_CALL_SECONDS = 30.0
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class EncodeTest:
    """A text was encoded: by which model, to a vector of what length, in how many seconds."""

    model: str
    dimension: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SearchTest:
    """A vector was searched.

    Attributes:
        collection: the one that was searched, or "" for a temporary one.
        seconds: that the search took.
    """

    collection: str
    seconds: float


def encode(url: str, token: str, seconds: float) -> EncodeTest:
    """Encode a text.

    Args:
        url: of the encoder service.
        token: of that service, or "".
        seconds: until it gives up.

    Raises:
        ClipstackError: as for `encoders.connect`, or the service can't encode.
    """
    policy = RetryPolicy(seconds, is_deadline=True)
    encoder = encoders.connect((url,), token, retry_policy=policy)
    try:
        started = time.monotonic()
        vector = encoder.encode_texts([_TEXT])[0]
        return EncodeTest(encoder.info.name, len(vector), time.monotonic() - started)
    finally:
        encoder.close()


def search(uri: str, token: str, *, collection: str, timeout: float) -> SearchTest:
    """Search in Milvus, again and again until it answers.

    After its start, Milvus answers some calls before it answers a search.

    Args:
        uri: of the server.
        token: user:password, an API key, or "".
        collection: the one to search if it exists and is loaded; else a temporary one is.
        timeout: seconds until it gives up.

    Raises:
        UnreachableError: nothing answers, or it refuses the token.
        ClipstackError: it did not answer a search in time.
    """
    until = time.monotonic() + timeout
    policy = RetryPolicy(timeout, is_deadline=True)
    with MilvusConnection(uri, token=token, wait=timeout, retry_policy=policy) as connection:
        while True:
            try:
                return _search(connection.client, collection, until)
            except ClipstackError:
                raise
            except Exception as error:  # pymilvus', which only `index` knows
                if time.monotonic() + _PAUSE > until:
                    reason = " ".join(str(getattr(error, "message", error)).split())
                    raise UnreachableError(
                        f"the Milvus at {uri} does not answer a search: {reason[:300]}",
                        hint="`clipstack logs milvus` says more.",
                    ) from None
            time.sleep(_PAUSE)


def _search(client: Any, collection: str, until: float) -> SearchTest:
    dimension = _dimension(client, collection, until)
    if not dimension:
        return SearchTest("", WriteProbe(client, until - time.monotonic()).run(flush=False))
    started = time.monotonic()
    client.search(
        collection,
        data=[[1.0] + [0.0] * (dimension - 1)],
        limit=1,
        anns_field="vector",
        consistency_level="Strong",
        timeout=_call_seconds(until),
    )
    return SearchTest(collection, time.monotonic() - started)


def _call_seconds(until: float) -> float:
    return max(_LEAST_SECONDS, min(_CALL_SECONDS, until - time.monotonic()))


def _dimension(client: Any, collection: str, until: float) -> int:
    """The dimension of a collection's vectors; 0 if it does not exist or is not loaded."""
    if not client.has_collection(collection, timeout=_call_seconds(until)):
        return 0
    state = str(client.get_load_state(collection, timeout=_call_seconds(until)).get("state"))
    if "notload" in state.lower().replace("_", ""):
        return 0
    fields = client.describe_collection(collection, timeout=_call_seconds(until))["fields"]
    sizes = [field.get("params", {}).get("dim") for field in fields if field["name"] == "vector"]
    return int(sizes[0]) if sizes and sizes[0] else 0
