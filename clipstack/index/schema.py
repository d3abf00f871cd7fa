"""Rows, collections and models, as every index stores them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clipstack.index.derived_fields import DERIVED_FIELDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float32]

MAX_PATH_BYTES = 4096
ID_LENGTH = 32
FILE_FIELDS = ("path", "digest", "size", "mtime_ns", "width", "height", "format", "taken_at")

# Dynamic fields; a row has those that its picture has.
DYNAMIC_FIELDS = (
    *("camera", "lens", "lat", "lon", "orientation", "title", "description", "keywords", "tags"),
    *DERIVED_FIELDS,
)


class Model(Protocol):
    """What a collection needs to know about the model of its vectors."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def dimension(self) -> int: ...


def higher_is_better(metric: str) -> bool:
    """Whether higher scores are better: they are similarities, except for L2, a distance."""
    return metric != "L2"


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """The description of a collection, stored with it as JSON.

    Attributes:
        model: the model's name as the user gave it; `revision` is its hub commit, or "".
        fingerprint: of the model's weights and preprocessing; vectors of another are refused.
        dimension: length of the vectors.
        metric: COSINE, L2 or IP.
    """

    name: str
    model: str
    revision: str
    fingerprint: str
    dimension: int
    metric: str

    @classmethod
    def for_model(cls, name: str, model: Model, metric: str) -> CollectionInfo:
        """The description of a collection for the vectors of `model`, compared by `metric`."""
        return cls(name, model.name, model.revision, model.fingerprint, model.dimension, metric)

    def to_description(self) -> str:
        fields = asdict(self)
        del fields["name"]
        return json.dumps({"clipstack": 1, **fields})

    @classmethod
    def from_description(cls, name: str, description: str) -> CollectionInfo | None:
        """Parse `to_description`'s JSON; None if clipstack did not write it."""
        try:
            fields = json.loads(description)
            if fields.pop("clipstack") != 1:
                return None
            return cls(name=name, **fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One picture in an index.

    Attributes:
        digest: BLAKE2b-128 of the file's bytes, hexadecimal.
        size: bytes; mtime_ns: nanoseconds since the epoch.
        width, height: pixels of the upright picture.
        taken_at: seconds since the epoch from EXIF, 0 when unknown; imported_at likewise.
        vector: float32 [dimension], as computed by the model.
        facts: dynamic fields, with names from `DYNAMIC_FIELDS` or of other programs.
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
    """The id of the picture at `path` (absolute), the same for every import."""
    return hashlib.blake2b(path.encode(), digest_size=ID_LENGTH // 2).hexdigest()


def id_bound(share: float) -> str:
    """An id that about this share of all ids are less than: ids are hashes, evenly distributed."""
    return f"{min(int(share * 2**32), 2**32 - 1):08x}"
