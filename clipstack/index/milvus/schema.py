"""The schema of a collection on a Milvus server, and conversion of rows from and to entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.index.base import Hit
from clipstack.index.derived_fields import with_derived_fields, without_derived_fields
from clipstack.index.schema import FILE_FIELDS, ID_LENGTH, MAX_PATH_BYTES, CollectionInfo, Row

if TYPE_CHECKING:
    import numpy as np
    from pymilvus import CollectionSchema

# Milvus accepts messages of 64 MiB; smaller ones are as fast and take less memory on both sides.
MESSAGE_BYTES = 4 * 2**20
_ROW_BYTES = 300
_FACTS_BYTES = 2000
ROW_FIELDS = ("id", *FILE_FIELDS, "imported_at")
HIT_FIELDS = ("path", "width", "height", "format", "size", "taken_at")


def build(info: CollectionInfo) -> CollectionSchema:
    """The schema of a collection with vectors of `info.dimension` numbers."""
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


def to_entity(row: Row) -> dict[str, Any]:
    """The entity of a row; its facts are dynamic fields."""
    fixed = {name: getattr(row, name) for name in (*ROW_FIELDS, "vector")}
    return {**with_derived_fields(row.facts), **fixed} if row.facts else fixed


def to_row(entity: Mapping[str, Any]) -> Row:
    """A Row from an entity with its vector."""
    import numpy as np

    fixed = {name: entity[name] for name in ROW_FIELDS}
    vector: np.ndarray[Any, Any] = np.asarray(entity["vector"], np.float32)
    return Row(**fixed, vector=vector, facts=entity_facts(entity))


def to_hit(entity: Mapping[str, Any], score: float) -> Hit:
    """A Hit from an entity that a search returned."""
    fields = {name: entity[name] for name in ("id", *HIT_FIELDS)}
    return Hit(**fields, score=score, facts=entity_facts(entity))


def entity_facts(entity: Mapping[str, Any]) -> dict[str, Any]:
    """The dynamic fields of an entity, without derived fields."""
    fixed = (*ROW_FIELDS, "vector")
    return without_derived_fields(
        {name: value for name, value in entity.items() if name not in fixed}
    )


def rows_per_message(dimension: int, *, facts: bool = True) -> int:
    """Number of rows with vectors of that dimension in a message of `MESSAGE_BYTES`."""
    return max(1, MESSAGE_BYTES // (4 * dimension + _ROW_BYTES + (_FACTS_BYTES if facts else 0)))


def messages(rows: Sequence[Row]) -> Iterator[list[dict[str, Any]]]:
    """Rows as entities, in lists of at most `MESSAGE_BYTES`."""
    message: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        row_bytes = row.vector.nbytes + len(row.path.encode()) + _ROW_BYTES
        row_bytes += _FACTS_BYTES if row.facts else 0
        if message and size + row_bytes > MESSAGE_BYTES:
            yield message
            message, size = [], 0
        message.append(to_entity(row))
        size += row_bytes
    if message:
        yield message
