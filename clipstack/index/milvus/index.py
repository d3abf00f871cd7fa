"""The index on a Milvus server: the stack's, a cluster's, or a cloud's."""

from __future__ import annotations

import builtins
import contextlib
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from clipstack.errors import ClipstackError, NotFoundError
from clipstack.events import SILENT, Events
from clipstack.index import naming
from clipstack.index.base import CollectionSummary, CompactionResult
from clipstack.index.milvus import index_params, loading, schema
from clipstack.index.milvus.client import Client
from clipstack.index.milvus.collection import MilvusCollection, count
from clipstack.index.milvus.connection import MilvusConnection, Tls
from clipstack.index.schema import CollectionInfo, Model
from clipstack.index.vector_index import VectorIndex
from clipstack.retry import RetryPolicy

_POLL_SECONDS = 0.5
_FLUSH_SECONDS = 120.0


class MilvusIndex(AbstractContextManager["MilvusIndex"]):
    """Collections on a Milvus server.

    Use as a context manager; its methods and collections may be used from several threads.

    Args:
        uri: http://host:port, or https:// for TLS.
        token: user:password or an API key, "" for none.
        database: of that server; "" for its default.
        wait: seconds to retry while the server does not answer.
        retry_policy: for a server that becomes unavailable later; `wait` by default.

    Raises:
        UsageError: the address is invalid, or a TLS file does not exist.
        NotFoundError: the server has no such database.
        UnreachableError: the server does not answer, or refuses the token.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "",
        tls: Tls | None = None,
        wait: float,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self.location = uri
        self._connection = MilvusConnection(
            uri, token=token, database=database, tls=tls, wait=wait, retry_policy=retry_policy
        )
        self._client: Client = self._connection.client

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def names(self) -> builtins.list[str]:
        """The names of all collections, sorted, without aliases."""
        return sorted(self._client.list_collections())

    def exists(self, name: str) -> bool:
        """Whether a collection or an alias has that name."""
        return bool(self._client.has_collection(naming.check_name(name)))

    def list(self) -> builtins.list[CollectionSummary]:
        """Every collection, by name."""
        summaries = []
        for name in self.names():
            with contextlib.suppress(NotFoundError):  # dropped since it was listed
                summaries.append(self.describe(name))
        return summaries

    def describe(self, name: str) -> CollectionSummary:
        """One collection."""
        description = self._description(name)
        own_name = description["collection_name"]
        info = CollectionInfo.from_description(own_name, description.get("description", ""))
        index = index_params.describe(self._client, own_name) if info else None
        loaded = loading.is_loaded(self._client, own_name)
        rows = count(self._client, own_name) if loaded else self._counted_rows(own_name)
        return CollectionSummary(own_name, rows, info, index, loaded, _aliases(description))

    def info(self, name: str) -> CollectionInfo:
        """The description of a collection: its model, dimension and metric."""
        return _info(self._description(name))

    def resolve_vector_index(self, requested: VectorIndex) -> VectorIndex:
        """The index with default parameters; Milvus checks the type when it creates the index."""
        return index_params.with_defaults(requested)

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Create an empty collection for the vectors of `model`, compared by `metric`."""
        self._require_free(name)
        info = CollectionInfo.for_model(name, model, metric)
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
        """Delete a collection and its aliases; returns how many rows it had."""
        summary = self.describe(name)
        naming.refuse_alias(summary.name, name)
        for alias in summary.aliases:
            self._client.drop_alias(alias)
        self._client.drop_collection(summary.name)
        return summary.rows

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Rename a collection; its rows and aliases stay."""
        info = self.info(old)
        naming.refuse_alias(info.name, old)
        self._require_free(new)
        self._client.rename_collection(old, new)
        return replace(info, name=new)

    def set_alias(self, name: str, alias: str) -> str:
        """Point an alias at a collection; returns the collection that had it before, or ""."""
        own_name = self.info(name).name
        if not self.exists(alias):
            self._forget_alias(alias)
            self._client.create_alias(own_name, alias)
            return ""
        previous = self.info(alias).name
        if previous == alias:
            raise naming.alias_taken_error(alias)
        if previous != own_name:
            self._client.alter_alias(own_name, alias)
        return previous

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias from a collection, also one of another program."""
        description = self._description(name)
        own_name = str(description["collection_name"])
        # In Milvus 2.3, list_aliases returns nothing outside of the default database.
        aliases = _aliases(description)
        if alias not in aliases:
            raise naming.alias_not_found_error(own_name, alias, aliases)
        self._client.drop_alias(alias)

    def load(self, name: str, *, patience: float) -> str:
        """Load a collection into memory; returns its own name."""
        info = self.info(name)
        loading.load(self._client, info, patience=patience)
        return info.name

    def release(self, name: str) -> str:
        """Release a collection from memory; its rows stay. Returns its own name."""
        own_name = self.info(name).name
        # Milvus counts only the sealed segments of a released collection.
        self._client.flush(own_name, timeout=_FLUSH_SECONDS)
        self._client.release_collection(own_name)
        return own_name

    def compact(self, name: str, *, wait: bool) -> CompactionResult:
        """Merge a collection's small segments, dropping rows that were replaced or deleted."""
        started = time.monotonic()
        own_name = self.info(name).name
        self._client.flush(
            own_name, timeout=_FLUSH_SECONDS
        )  # rows of growing segments take part too
        job = int(self._client.compact(own_name))
        finished = False
        while wait and not finished:
            finished = self._client.get_compaction_state(job) == "Completed"
            if not finished:
                time.sleep(_POLL_SECONDS)
        plans = self._client.get_compaction_plans(job).plans if finished and job > 0 else []
        merged = sum(len(plan.sources) for plan in plans)
        seconds = time.monotonic() - started
        return CompactionResult(
            own_name, finished, seconds, job=job, merged=merged, made=len(plans)
        )

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,
        events: Events = SILENT,
    ) -> MilvusCollection:
        """The rows of a collection; a released collection is loaded."""
        description = self._description(name)
        info = _info(description)
        if not loading.is_loaded(self._client, info.name):
            if loading.is_released(self._client, info.name):
                events.note(f"Collection {info.name} is released; loading it.")
            loading.load(self._client, info, patience=patience)
        return MilvusCollection(self._client, info, description["collection_id"])

    def _description(self, name: str) -> dict[str, Any]:
        if not self.exists(name):
            raise naming.not_found_error(name, self.names())
        return dict(self._client.describe_collection(name))

    def _counted_rows(self, name: str) -> int:
        return int(self._client.get_collection_stats(name).get("row_count", 0))

    def _require_free(self, name: str) -> None:
        if self.exists(name):
            raise naming.name_taken_error(name)

    def _index_digests(self, name: str) -> None:
        """Index the digests: an import queries them with every batch, else by a full scan."""
        with contextlib.suppress(ClipstackError):
            digests = self._client.prepare_index_params()
            digests.add_index("digest")
            self._client.create_index(name, digests, sync=False)

    def _forget_alias(self, name: str) -> None:
        """Remove a dangling alias. Milvus 2.3 leaves one behind when its collection is dropped, and
        a collection or alias of that name can't be found then."""
        with contextlib.suppress(ClipstackError):
            self._client.drop_alias(name)


def _info(description: dict[str, Any]) -> CollectionInfo:
    own_name = description["collection_name"]
    info = CollectionInfo.from_description(own_name, description.get("description", ""))
    if info is None:
        raise naming.not_clipstack_error(own_name)
    return info


def _aliases(description: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(description.get("aliases", ())))
