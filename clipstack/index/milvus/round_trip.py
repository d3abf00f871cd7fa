"""A trial of a Milvus server: whether what is written there is found again."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import Any

from clipstack.errors import ClipstackError
from clipstack.index.milvus.server import Server, Tls

_OWN = "clipstack_health_"
_FORGOTTEN = 600.0
_DROP_SECONDS = 5.0


def round_trip(
    uri: str, *, token: str = "", database: str = "", tls: Tls | None = None, seconds: float
) -> None:
    """Make a collection of our own, fill, flush, index, load and search it; drop it in any case.

    Args:
        as for `probing.ask`.

    Raises:
        ClipstackError: a step failed, or took longer; says which.
        UnreachableError: nothing answers, or it refuses the token.
    """
    until = time.monotonic() + seconds - _DROP_SECONDS
    name = f"{_OWN}{time.time():.0f}_{secrets.token_hex(4)}"
    with Server(uri, token=token, database=database, tls=tls, wait=0) as server:
        _drop_forgotten(server.client)
        trial = _Trial(server.client, name, until)
        try:
            trial.run()
        except Exception as error:  # pymilvus raises many kinds
            said = " ".join(str(getattr(error, "message", "") or error).split())[:200]
            raise ClipstackError(f"a trial collection: {trial.step} fails: {said}") from None
        finally:
            with contextlib.suppress(Exception):
                server.client.drop_collection(name, timeout=_DROP_SECONDS)


class _Trial:
    """The steps of a round trip, each within what is left of the time."""

    def __init__(self, client: Any, name: str, until: float) -> None:
        self._client, self._name, self._until = client, name, until
        self.step = "creating"

    def run(self) -> None:
        from pymilvus import DataType

        client, name = self._client, self._name
        rows = [{"id": one, "vector": [float(one == at) for at in range(8)]} for one in range(8)]
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
        client.create_collection(name, schema=schema, timeout=self._left())
        self._at("inserting")
        client.insert(name, rows, timeout=self._left())
        self._at("flushing")
        client.flush(name, timeout=self._left())
        self._at("indexing")
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        client.create_index(name, index, timeout=self._left())
        self._at("loading")
        client.load_collection(name, timeout=self._left())
        self._at("searching")
        found = client.search(
            name, data=[rows[3]["vector"]], limit=1, consistency_level="Strong",
            timeout=self._left(),
        )  # fmt: skip
        if not found[0] or found[0][0]["id"] != 3:
            raise ValueError("it does not find what was inserted")

    def _at(self, step: str) -> None:
        self.step = step

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left")
        return left


def _drop_forgotten(client: Any) -> None:
    """What a killed round trip left behind."""
    for name in client.list_collections(timeout=_DROP_SECONDS):
        made = name.removeprefix(_OWN).partition("_")[0] if name.startswith(_OWN) else ""
        if made.isdecimal() and time.time() - int(made) > _FORGOTTEN:
            client.drop_collection(name, timeout=_DROP_SECONDS)
