"""Addresses of an encoder and a Milvus in; how long a text and a search take out."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from clipstack import encoders
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.index.milvus.server import Server

_TEXT = "a red circle"
_DIMENSION = 8
_PAUSE = 1.0
_CALL_SECONDS = 30.0
_CONNECT_SECONDS = 60.0
_REFUSED_SECONDS = 15.0
TEMPORARY = "clipstack_round_trip_"


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder's service did: its model, the vector's length, and the seconds it took."""

    model: str
    dimension: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What Milvus did.

    Attributes:
        collection: the one that was searched, or "" for one that was made for it and dropped.
        seconds: the search itself took.
    """

    collection: str
    seconds: float


def encode(url: str, token: str) -> Encoded:
    """Encode a text.

    Args:
        url: of the service.
        token: what it asks for, or "".

    Raises:
        UnreachableError, ClipstackError: as `encoders.connect`, or it gives no vector.
    """
    encoder = encoders.connect(url, token)
    try:
        started = time.monotonic()
        vector = encoder.encode_texts([_TEXT])[0]
        return Encoded(encoder.info.name, len(vector), time.monotonic() - started)
    finally:
        encoder.close()


def search(uri: str, token: str, *, collection: str, timeout: float) -> Searched:
    """Search in Milvus, again and again until it answers.

    Just after a start it answers some calls before it answers a search.

    Args:
        uri: of the server.
        token: what it asks for, or "".
        collection: searched if it is there and loaded; else one is made, and dropped again.
        timeout: seconds to go on trying.

    Raises:
        UnreachableError: nothing answers, or it refuses the token.
        ClipstackError: it did not answer a search in time.
    """
    until = time.monotonic() + timeout
    # To a wrong password pymilvus says no more than that it can't connect.
    wait = min(timeout, _REFUSED_SECONDS if token else _CONNECT_SECONDS)
    with Server(uri, token=token, wait=wait) as server:
        while True:
            try:
                return _search(server.client, collection)
            except ClipstackError:
                raise
            except Exception as error:  # pymilvus', which only `index` knows
                if time.monotonic() + _PAUSE > until:
                    said = " ".join(str(getattr(error, "message", error)).split())
                    raise UnreachableError(
                        f"the Milvus at {uri} does not answer a search: {said[:300]}",
                        hint="`clipstack logs milvus` says more.",
                    ) from None
            time.sleep(_PAUSE)


def _search(client: Any, collection: str) -> Searched:
    dimension = _dimension(client, collection)
    if not dimension:
        return _with_temporary(client)
    vector = [1.0] + [0.0] * (dimension - 1)
    return Searched(collection, _timed(client, collection, vector, anns_field="vector")[0])


def _dimension(client: Any, collection: str) -> int:
    """Of the collection's vectors; 0 where there is no such collection that can be searched."""
    if not client.has_collection(collection, timeout=_CALL_SECONDS):
        return 0
    state = str(client.get_load_state(collection, timeout=_CALL_SECONDS).get("state"))
    if "notload" in state.lower().replace("_", ""):
        return 0
    found = client.describe_collection(collection, timeout=_CALL_SECONDS)["fields"]
    sizes = [one.get("params", {}).get("dim") for one in found if one["name"] == "vector"]
    return int(sizes[0]) if sizes and sizes[0] else 0


def _with_temporary(client: Any) -> Searched:
    name = TEMPORARY + secrets.token_hex(4)
    vector = [1.0] + [0.0] * (_DIMENSION - 1)
    try:
        client.create_collection(name, dimension=_DIMENSION, consistency_level="Strong")
        client.insert(name, [{"id": 7, "vector": vector}])
        seconds, hits = _timed(client, name, vector)
        if [hit["id"] for hit in hits] != [7]:
            raise ClipstackError("Milvus did not find the row that was just written")
        return Searched("", seconds)
    finally:
        with contextlib.suppress(Exception):
            client.drop_collection(name, timeout=_CALL_SECONDS)


def _timed(
    client: Any, name: str, vector: list[float], **more: Any
) -> tuple[float, list[dict[str, Any]]]:
    started = time.monotonic()
    hits = client.search(
        name,
        data=[vector],
        limit=1,
        consistency_level="Strong",
        timeout=_CALL_SECONDS,
        **more,
    )[0]
    return time.monotonic() - started, list(hits)
