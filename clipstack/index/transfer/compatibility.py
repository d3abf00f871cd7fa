"""Whether a collection can take rows: their vectors must be of the collection's model."""

from __future__ import annotations

from dataclasses import dataclass

from clipstack.errors import ClipstackError
from clipstack.index.base import Index
from clipstack.index.schema import CollectionInfo, Model
from clipstack.index.vector_index import VectorIndex
from clipstack.settings import Settings


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as a collection or a file describes it."""

    name: str
    revision: str
    fingerprint: str
    dimension: int

    @classmethod
    def from_info(cls, info: CollectionInfo) -> NamedModel:
        """The model of a collection."""
        return cls(info.model, info.revision, info.fingerprint, info.dimension)


def find_collection(index: Index, name: str) -> CollectionInfo | None:
    """The collection `name`, or None if it does not exist.

    Raises:
        UsageError: the name is invalid.
        ClipstackError: another program created it.
    """
    return index.info(name) if index.exists(name) else None


def require_same_vectors(collection: CollectionInfo, model: Model, holder: str) -> None:
    """Refuse rows whose vectors can't be compared with those in a collection.

    Args:
        model: that made the rows' vectors.
        holder: what holds the rows, such as a file.

    Raises:
        ClipstackError: the fingerprints differ.
    """
    if collection.fingerprint == model.fingerprint:
        return
    other_model = f"of {model.name!r}"
    if model.name == collection.model:
        other_model += " with other weights, preprocessing or precision"
    raise ClipstackError(
        f"collection {collection.name!r} holds vectors of {collection.model!r}, and {holder} "
        f"vectors {other_model}: they can't be compared",
        hint="Choose another name for the collection; it is made when there is none.",
    )


def create_collection(
    index: Index, settings: Settings, name: str, model: Model, metric: str
) -> CollectionInfo:
    """Create a collection with the index on vectors from the target's settings."""
    vector_index = VectorIndex(settings.index, settings.index_params)
    return index.create(name, model, metric, vector_index)
