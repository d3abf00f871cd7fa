"""Rows, collections and models as every index knows them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clipstack.index.keywords import FOR_FILTERS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float32]

MAX_PATH_BYTES = 4096
ID_LENGTH = 32
FACTS = ("path", "digest", "size", "mtime_ns", "width", "height", "format", "taken_at")

# Dynamic fields; a row has those that are known of its picture.
DYNAMIC = (
    *("camera", "lens", "lat", "lon", "orientation", "title", "description", "keywords", "tags"),
    *FOR_FILTERS,
)


class Model(Protocol):
    """What a collection needs to know of the model whose vectors it holds."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def dimension(self) -> int: ...


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection says of itself; kept as JSON beside it.

    Attributes:
        model: the model's name as it was asked for; `revision` is its hub commit, or "".
        fingerprint: of the model's weights and preprocessing; vectors of another are refused.
        dimension: numbers in a vector.
        metric: COSINE, L2 or IP.
    """

    name: str
    model: str
    revision: str
    fingerprint: str
    dimension: int
    metric: str

    @classmethod
    def of(cls, name: str, model: Model, metric: str) -> CollectionInfo:
        """A collection for the vectors of `model`, compared by `metric`."""
        return cls(name, model.name, model.revision, model.fingerprint, model.dimension, metric)

    def to_description(self) -> str:
        facts = asdict(self)
        del facts["name"]
        return json.dumps({"clipstack": 1, **facts})

    @classmethod
    def from_description(cls, name: str, description: str) -> CollectionInfo | None:
        """The facts a description holds, or None when clipstack did not write it."""
        try:
            facts = json.loads(description)
            if facts.pop("clipstack") != 1:
                return None
            return cls(name=name, **facts)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One picture as an index keeps it.

    Attributes:
        digest: BLAKE2b-128 of the file's bytes, hexadecimal.
        size: bytes; mtime_ns: nanoseconds since the epoch.
        width, height: pixels of the upright picture.
        taken_at: seconds since the epoch from EXIF, 0 when unknown; imported_at likewise.
        vector: float32 [dimension], as the model gives it.
        facts: what else is known, as dynamic fields: names of `DYNAMIC`.
    """

    id: str
    path: str
    digest: str
    size: int
    mtime_ns: int
    width: int
    height: int
    format: str
    taken_at: int
    imported_at: int
    vector: Vector
    facts: dict[str, Any] = field(default_factory=dict)


def row_id(path: str) -> str:
    """The key of the picture at `path` (absolute): the same for every import of it."""
    return hashlib.blake2b(path.encode(), digest_size=ID_LENGTH // 2).hexdigest()


def id_bound(share: float) -> str:
    """A text that about this share of all ids is less than: they are hashes, spread evenly."""
    return f"{min(int(share * 2**32), 2**32 - 1):08x}"
