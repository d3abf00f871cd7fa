"""The collections of a Milvus server: the stack's, a cluster's, or a cloud's."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from clipstack.errors import ClipstackError, NotFoundError
from clipstack.index import naming
from clipstack.index.base import Compacted, Described
from clipstack.index.milvus import index_types, loading, schema
from clipstack.index.milvus.client import Client
from clipstack.index.milvus.collection import MilvusCollection, count
from clipstack.index.milvus.server import Server, Tls
from clipstack.index.schema import CollectionInfo, Model
from clipstack.index.vector_index import VectorIndex
from clipstack.retry import RetryPolicy

_POLL_SECONDS = 0.5
_FLUSH_SECONDS = 120.0


class MilvusIndex(AbstractContextManager["MilvusIndex"]):
    """A connection to a Milvus server.

    Use as a context manager; its methods and collections may be used from several threads.

    Args:
        uri: http://host:port, or https:// for TLS.
        token: user:password or an API key, "" for none.
        database: of that server; "" for its default.
        wait: seconds to go on trying while it does not answer.
        patience: for when it goes away later; `wait` by default.

    Raises:
        UsageError: the address is none, or a TLS file is not there.
        NotFoundError: it has no such database.
        UnreachableError: nothing answers, or it refuses the token.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "",
        tls: Tls | None = None,
        wait: float,
        patience: RetryPolicy | None = None,
    ) -> None:
        self.where = uri
        self._server = Server(
            uri, token=token, database=database, tls=tls, wait=wait, patience=patience
        )
        self._client: Client = self._server.client

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def names(self) -> builtins.list[str]:
        """The names of all collections, sorted, without aliases."""
        return sorted(self._client.list_collections())

    def exists(self, name: str) -> bool:
        """Whether there is a collection, or an alias, called `name`."""
        return bool(self._client.has_collection(naming.check_name(name)))

    def list(self) -> builtins.list[Described]:
        """Every collection, by name."""
        described = []
        for name in self.names():
            with contextlib.suppress(NotFoundError):  # dropped by another since it was listed
                described.append(self.describe(name))
        return described

    def describe(self, name: str) -> Described:
        """One collection."""
        description = self._description(name)
        own = description["collection_name"]
        info = CollectionInfo.from_description(own, description.get("description", ""))
        index = index_types.describe(self._client, own) if info else None
        loaded = loading.is_loaded(self._client, own)
        rows = count(self._client, own) if loaded else self._counted(own)
        return Described(own, rows, info, index, loaded, _aliases(description))

    def info(self, name: str) -> CollectionInfo:
        """What a collection of clipstack's says of itself."""
        description = self._description(name)
        own = description["collection_name"]
        info = CollectionInfo.from_description(own, description.get("description", ""))
        if info is None:
            raise naming.not_ours(own)
        return info

    def check_vector_index(self, wanted: VectorIndex) -> VectorIndex:
        """The index with Milvus' parameters; which types it has shows when it makes one."""
        return index_types.with_defaults(wanted)

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Make an empty collection for the vectors of `model`, compared by `metric`."""
        self._require_free(name)
        info = CollectionInfo.of(name, model, metric)
        self._forget_alias(name)
        self._client.create_collection(name, schema=schema.build(info), consistency_level="Strong")
        try:
            loading.make_index(self._client, info, index or VectorIndex())
            self._index_digests(name)
            self._client.load_collection(name, _async=True)
        except BaseException:
            with contextlib.suppress(ClipstackError):
                self._client.drop_collection(name)
            raise
        return info

    def drop(self, name: str) -> int:
        """Delete a collection, and its aliases with it; returns how many rows went."""
        described = self.describe(name)
        naming.require_own_name(described.name, name)
        for alias in described.aliases:
            self._client.drop_alias(alias)
        self._client.drop_collection(described.name)
        return described.rows

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Give a collection another name; its rows and aliases stay."""
        info = self.info(old)
        naming.require_own_name(info.name, old)
        self._require_free(new)
        self._client.rename_collection(old, new)
        return replace(info, name=new)

    def set_alias(self, name: str, alias: str) -> str:
        """Give a collection another name beside its own; returns which one had it before."""
        own = self.info(name).name
        if not self.exists(alias):
            self._forget_alias(alias)
            self._client.create_alias(own, alias)
            return ""
        before = self.info(alias).name
        if before == alias:
            raise ClipstackError(
                f"there is a collection {alias!r} already", hint="Choose another alias."
            )
        if before != own:
            self._client.alter_alias(own, alias)
        return before

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away from a collection."""
        own = self.info(name).name
        # Milvus 2.3 finds nothing by list_aliases in a database other than the default one.
        aliases = _aliases(self._description(own))
        if alias not in aliases:
            raise naming.no_such_alias(own, alias, aliases)
        self._client.drop_alias(alias)

    def load(self, name: str, *, patience: float) -> str:
        """Bring a collection into memory, so that it can be searched; returns its own name."""
        info = self.info(name)
        loading.load(self._client, info, patience=patience)
        return info.name

    def release(self, name: str) -> str:
        """Take a collection out of memory; its rows stay. Returns its own name."""
        own = self.info(name).name
        # Milvus counts a released collection by its sealed segments.
        self._client.flush(own, timeout=_FLUSH_SECONDS)
        self._client.release_collection(own)
        return own

    def compact(self, name: str, *, wait: bool) -> Compacted:
        """Merge a collection's small segments and leave out rows that were replaced."""
        started = time.monotonic()
        own = self.info(name).name
        self._client.flush(own, timeout=_FLUSH_SECONDS)  # rows of growing segments take part too
        job = int(self._client.compact(own))
        finished = False
        while wait and not finished:
            finished = self._client.get_compaction_state(job) == "Completed"
            if not finished:
                time.sleep(_POLL_SECONDS)
        plans = self._client.get_compaction_plans(job).plans if finished and job > 0 else []
        merged = sum(len(plan.sources) for plan in plans)
        seconds = time.monotonic() - started
        return Compacted(own, finished, seconds, job=job, merged=merged, made=len(plans))

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> MilvusCollection:
        """The rows of a collection; one that somebody released is loaded."""
        info = self.info(name)
        if not loading.is_loaded(self._client, info.name):
            if loading.is_released(self._client, info.name):
                note(f"Collection {info.name} is released; loading it.")
            loading.load(self._client, info, patience=patience)
        return MilvusCollection(self._client, info)

    def _description(self, name: str) -> dict[str, Any]:
        if not self.exists(name):
            raise naming.missing(name, self.names())
        return dict(self._client.describe_collection(name))

    def _counted(self, name: str) -> int:
        return int(self._client.get_collection_stats(name).get("row_count", 0))

    def _require_free(self, name: str) -> None:
        if self.exists(name):
            raise naming.taken(name)

    def _index_digests(self, name: str) -> None:
        """An import asks for digests with every batch; without this, each is a full scan."""
        with contextlib.suppress(ClipstackError):
            digests = self._client.prepare_index_params()
            digests.add_index("digest")
            self._client.create_index(name, digests, sync=False)

    def _forget_alias(self, name: str) -> None:
        """Remove an alias of nothing. Milvus 2.3 leaves one behind when its collection is dropped,
        and what gets its name then can't be found."""
        with contextlib.suppress(ClipstackError):
            self._client.drop_alias(name)


def _aliases(description: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(description.get("aliases", ())))
