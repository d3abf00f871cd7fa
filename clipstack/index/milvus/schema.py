"""The schema of a collection on a Milvus server, and rows as its entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.index.base import Hit
from clipstack.index.keywords import shown, with_words
from clipstack.index.schema import FACTS, ID_LENGTH, MAX_PATH_BYTES, CollectionInfo, Row

if TYPE_CHECKING:
    import numpy as np
    from pymilvus import CollectionSchema

# Milvus takes messages of 64 MiB; smaller ones cost no time and less memory on both sides.
MESSAGE_BYTES = 4 * 2**20
_ROW_BYTES = 300
_FACTS_BYTES = 2000
ROW_FIELDS = ("id", *FACTS, "imported_at")
HIT_FIELDS = ("path", "width", "height", "format", "size", "taken_at")


def build(info: CollectionInfo) -> CollectionSchema:
    """The schema of a collection that holds `info.dimension` numbers per picture."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(
        description=info.to_description(), auto_id=False, enable_dynamic_field=True
    )
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=ID_LENGTH)
    schema.add_field("path", DataType.VARCHAR, max_length=MAX_PATH_BYTES)
    schema.add_field("digest", DataType.VARCHAR, max_length=64)
    for name in ("size", "mtime_ns", "width", "height", "taken_at", "imported_at"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("format", DataType.VARCHAR, max_length=32)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=info.dimension)
    return schema


def entity(row: Row) -> dict[str, Any]:
    """A row as Milvus takes it; its facts are dynamic fields."""
    fixed = {name: getattr(row, name) for name in (*ROW_FIELDS, "vector")}
    return {**with_words(row.facts), **fixed} if row.facts else fixed


def row(entity: Mapping[str, Any]) -> Row:
    """A Row from an entity with its vector."""
    import numpy as np

    fixed = {name: entity[name] for name in ROW_FIELDS}
    vector: np.ndarray[Any, Any] = np.asarray(entity["vector"], np.float32)
    return Row(**fixed, vector=vector, facts=facts(entity))


def hit(entity: Mapping[str, Any], score: float) -> Hit:
    """An entity that a search returned, as a hit."""
    known = {name: entity[name] for name in ("id", *HIT_FIELDS)}
    return Hit(**known, score=score, facts=facts(entity))


def facts(entity: Mapping[str, Any]) -> dict[str, Any]:
    """The dynamic fields of an entity, without those there for filters only."""
    fixed = (*ROW_FIELDS, "vector")
    return shown({name: value for name, value in entity.items() if name not in fixed})


def rows_per_message(dimension: int, *, facts: bool = True) -> int:
    """How many rows with vectors of that dimension make a message of a good size."""
    return max(1, MESSAGE_BYTES // (4 * dimension + _ROW_BYTES + (_FACTS_BYTES if facts else 0)))


def messages(rows: Sequence[Row]) -> Iterator[list[dict[str, Any]]]:
    """Rows as entities, in parts that are no larger than a message should be."""
    message: list[dict[str, Any]] = []
    size = 0
    for item in rows:
        more = item.vector.nbytes + len(item.path.encode()) + _ROW_BYTES
        more += _FACTS_BYTES if item.facts else 0
        if message and size + more > MESSAGE_BYTES:
            yield message
            message, size = [], 0
        message.append(entity(item))
        size += more
    if message:
        yield message
