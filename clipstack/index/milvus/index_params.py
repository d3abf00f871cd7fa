"""Parameters of Milvus' indexes on vectors, and of searches in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clipstack.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from pymilvus.milvus_client.index import IndexParams

    from clipstack.index.milvus.client import Client

# Parameters that Milvus requires and has no defaults for.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
}
# Search parameters that must not be below the limit.
_RAISED_TO_LIMIT = ("ef", "search_list")
_NOT_PARAMS = {"index_type", "metric_type", "field_name", "index_name", "total_rows", "dim"}
_NOT_PARAMS |= {"indexed_rows", "pending_index_rows", "state", "mmap.enabled"}


def search_params(params: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Parameters of a search for `limit` hits; Milvus refuses an `ef` below the limit."""
    raised = {name: max(int(params[name]), limit) for name in _RAISED_TO_LIMIT if name in params}
    return {**params, **raised}


def with_defaults(index: VectorIndex) -> VectorIndex:
    """The index with defaults for missing parameters that Milvus requires."""
    return VectorIndex(index.type, {**_DEFAULTS.get(index.type, {}), **index.params})


def build(client: Client, index: VectorIndex, metric: str) -> IndexParams:
    """Parameters of `create_index` for the field `vector`."""
    index_params = client.prepare_index_params()
    index_params.add_index(
        "vector", index_type=index.type, metric_type=metric, params=dict(index.params)
    )
    typed: IndexParams = index_params
    return typed


def describe(client: Client, name: str) -> VectorIndex | None:
    """The index on a collection's vectors, or None if it has none."""
    if not client.list_indexes(name, field_name="vector"):
        return None
    facts = client.describe_index(name, "vector") or {}
    params = {key: _number(value) for key, value in facts.items() if key not in _NOT_PARAMS}
    return VectorIndex(str(facts.get("index_type", "")), params)


def _number(value: Any) -> Any:
    """Parse a number, which Milvus returns as a string."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
