"""Indexes on vectors as Milvus is told of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clipstack.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from pymilvus.milvus_client.index import IndexParams

    from clipstack.index.milvus.client import Client

# Milvus wants these parameters; it has no defaults of its own.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
}
# Parameters of a search that must be as many as the hits asked for.
_AT_LEAST_LIMIT = ("ef", "search_list")
_NO_PARAMETERS = {"index_type", "metric_type", "field_name", "index_name", "total_rows", "dim"}
_NO_PARAMETERS |= {"indexed_rows", "pending_index_rows", "state", "mmap.enabled"}


def for_search(given: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Parameters of a search for `limit` hits; Milvus refuses an `ef` below that."""
    raised = {name: max(int(given[name]), limit) for name in _AT_LEAST_LIMIT if name in given}
    return {**given, **raised}


def with_defaults(index: VectorIndex) -> VectorIndex:
    """The index with the parameters that Milvus wants and that are not given."""
    return VectorIndex(index.type, {**_DEFAULTS.get(index.type, {}), **index.params})


def to_milvus(client: Client, index: VectorIndex, metric: str) -> IndexParams:
    """The parameters of `create_index` for the field `vector`."""
    made = client.prepare_index_params()
    made.add_index("vector", index_type=index.type, metric_type=metric, params=dict(index.params))
    found: IndexParams = made
    return found


def describe(client: Client, name: str) -> VectorIndex | None:
    """The index on a collection's vectors, or None when it has none."""
    if not client.list_indexes(name, field_name="vector"):
        return None
    facts = client.describe_index(name, "vector") or {}
    params = {key: _number(value) for key, value in facts.items() if key not in _NO_PARAMETERS}
    return VectorIndex(str(facts.get("index_type", "")), params)


def _number(value: Any) -> Any:
    """Milvus gives numbers back as texts."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
