"""The index on a collection's vectors: its type and parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUTOINDEX = "AUTOINDEX"
FLAT = "FLAT"


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The index on the vectors of a collection.

    Attributes:
        type: AUTOINDEX (the target chooses), HNSW, IVF_FLAT, DISKANN or FLAT (exact).
        params: its own, such as M; what is left out is Milvus' or ours.
    """

    type: str = AUTOINDEX
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, type: str, params: str) -> VectorIndex:
        """From the settings `index` and `index_params` (JSON, or "")."""
        return cls(type, parameters(params))


def parameters(text: str) -> dict[str, Any]:
    """A setting that holds parameters as JSON, or "" for none."""
    found: dict[str, Any] = json.loads(text) if text else {}
    return found
