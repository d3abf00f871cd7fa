"""The index on a collection's vectors: its type and parameters."""

from __future__ import annotations

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
        params: its own, such as M; missing ones have defaults.
    """

    type: str = AUTOINDEX
    params: Mapping[str, Any] = field(default_factory=dict)
