"""An index's name and its parameters in, what Milvus is told of it out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipstack.errors import UsageError

if TYPE_CHECKING:
    from pymilvus.milvus_client.index import IndexParams

    from clipstack.index.client import Client

AUTOINDEX = "AUTOINDEX"
# Milvus wants these parameters; it has no defaults of its own.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
}
_EMBEDDED = ("FLAT", "IVF_FLAT")
# Parameters of a search that must be as many as the hits asked for.
_AT_LEAST_LIMIT = ("ef", "search_list")
_NO_PARAMETERS = {"index_type", "metric_type", "field_name", "index_name", "total_rows", "dim"}
_NO_PARAMETERS |= {"indexed_rows", "pending_index_rows", "state", "mmap.enabled"}


@dataclass(frozen=True, slots=True)
class Index:
    """The index on a collection's vectors.

    Attributes:
        type: AUTOINDEX (Milvus chooses), HNSW, IVF_FLAT, DISKANN or FLAT.
        params: its own, such as M; what is left out is Milvus' or ours.
    """

    type: str = AUTOINDEX
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, type: str, params: str) -> Index:
        """From the settings `index` and `index_params` (JSON, or "")."""
        return cls(type, parameters(params))


def parameters(text: str) -> dict[str, Any]:
    """A setting that holds parameters as JSON, or "" for none."""
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def for_search(given: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Parameters of a search for `limit` hits; Milvus refuses an `ef` below that."""
    raised = {name: max(int(given[name]), limit) for name in _AT_LEAST_LIMIT if name in given}
    return {**given, **raised}


def check(index: Index, *, embedded: bool) -> Index:
    """The index as the target makes it: embedded, AUTOINDEX means FLAT.

    Raises:
        UsageError: the embedded target does not have it.
    """
    if not embedded:
        return Index(index.type, {**_DEFAULTS.get(index.type, {}), **index.params})
    if index.type == AUTOINDEX:
        return Index("FLAT")
    if index.type not in _EMBEDDED:
        raise UsageError(
            f"the embedded target has no {index.type}, only FLAT and IVF_FLAT",
            hint="Leave out --index there (FLAT is exact), or use a Milvus server: "
            "`clipstack up` starts one.",
        )
    return Index(index.type, {**_DEFAULTS.get(index.type, {}), **index.params})


def to_milvus(client: Client, index: Index, metric: str) -> IndexParams:
    """The parameters of `create_index` for the field `vector`."""
    made = client.prepare_index_params()
    made.add_index("vector", index_type=index.type, metric_type=metric, params=dict(index.params))
    found: IndexParams = made
    return found


def describe(client: Client, name: str) -> Index | None:
    """The index on a collection's vectors, or None when it has none."""
    if not client.list_indexes(name, field_name="vector"):
        return None
    facts = client.describe_index(name, "vector") or {}
    params = {key: _number(value) for key, value in facts.items() if key not in _NO_PARAMETERS}
    return Index(str(facts.get("index_type", "")), params)


def _number(value: Any) -> Any:
    """Milvus gives numbers back as texts."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
