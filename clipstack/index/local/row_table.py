"""The SQLite table with a collection's rows: inserting, deleting and decoding them."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.index.base import Hit
from clipstack.index.derived_fields import (
    DERIVED_FIELDS,
    with_derived_fields,
    without_derived_fields,
)
from clipstack.index.local import schema
from clipstack.index.schema import Row

if TYPE_CHECKING:
    from clipstack.index.schema import Vector

ROW_COLUMNS = ", ".join(schema.ROW_COLUMNS)
"""The columns of a row, in the order that `to_row` and `to_fields` take."""
HIT_COLUMNS = "id, slot, version, path, width, height, format, size, taken_at, facts"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_INSERT_COLUMNS = ("slot", *schema.ROW_COLUMNS, "lat", "lon", "version")


def insert(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Row]], version: int
) -> None:
    """Insert rows into the collection `number`, each with its slot."""
    table = schema.rows_table(number)
    values = schema.placeholders(_INSERT_COLUMNS)
    rows_with_slots = list(rows)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(_INSERT_COLUMNS)}) VALUES ({values})",
        (_values(slot, row, version) for slot, row in rows_with_slots),
    )
    insert_words(
        connection, number, ((slot, row.facts) for slot, row in rows_with_slots if row.facts)
    )


def _values(slot: int, row: Row, version: int) -> tuple[Any, ...]:
    facts = row.facts
    return (
        *(slot, row.id, row.path, row.digest, row.size, row.mtime_ns, row.width, row.height),
        *(row.format, row.taken_at, row.imported_at, encode_facts(facts)),
        *(_finite_number(facts.get("lat")), _finite_number(facts.get("lon")), version),
    )


def insert_words(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """Insert the words of the derived fields of rows, given by slot and facts."""
    connection.executemany(
        f"INSERT OR IGNORE INTO {schema.words_table(number)} VALUES (?, ?, ?)", _words(rows)
    )


def delete_words(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """Delete the words of the derived fields of rows, given by slot and facts."""
    connection.executemany(
        f"DELETE FROM {schema.words_table(number)} WHERE kind = ? AND word = ? AND slot = ?",
        _words(rows),
    )


def _words(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[str, str, int]]:
    for slot, facts in rows:
        derived = with_derived_fields(facts)
        for kind in DERIVED_FIELDS:
            for word in derived.get(kind, ()):
                yield kind, word, slot


def delete(
    connection: sqlite3.Connection, number: int, rows: Sequence[tuple[int, str | None]]
) -> None:
    """Delete rows, given by slot and facts, and mark their slots as free."""
    table = schema.rows_table(number)
    slots = [(slot,) for slot, _ in rows]
    delete_words(connection, number, ((slot, decode_facts(facts)) for slot, facts in rows if facts))
    connection.executemany(f"DELETE FROM {table} WHERE slot = ?", slots)
    connection.executemany(f"INSERT INTO {schema.free_slots_table(number)} VALUES (?)", slots)


def to_row(values: Sequence[Any], vector: Vector) -> Row:
    """A Row from its `ROW_COLUMNS` and its vector."""
    *fixed, facts = values
    id, path, digest, size, mtime_ns, width, height, format, taken_at, imported_at = fixed
    return Row(
        *(id, path, digest, size, mtime_ns, width, height, format, taken_at, imported_at, vector),
        facts=decode_facts(facts),
    )


def to_fields(values: Sequence[Any]) -> dict[str, Any]:
    """The fields of a row, dynamic ones too, from its `ROW_COLUMNS`."""
    *fixed, facts = values
    return {**decode_facts(facts), **dict(zip(schema.ROW_COLUMNS, fixed, strict=False))}


def to_hit(values: Sequence[Any], score: float) -> Hit:
    """A Hit from its `HIT_COLUMNS`."""
    id, _, _, path, width, height, format, size, taken_at, facts = values
    return Hit(id, score, path, width, height, format, size, taken_at, decode_facts(facts))


def encode_facts(facts: Mapping[str, Any]) -> str | None:
    """Dynamic fields as JSON for the column `facts`; None if there are none."""
    facts_to_store = without_derived_fields(facts)
    if not facts_to_store:
        return None
    try:
        text = _ENCODER.encode(facts_to_store)
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 can't encode
        text = json.dumps(facts_to_store, separators=(",", ":"))
    except ValueError:
        return encode_facts(
            {name: _replace_non_finite(value) for name, value in facts_to_store.items()}
        )
    return text


def _replace_non_finite(value: Any) -> Any:
    """`value` with null in place of NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _replace_non_finite(item) for name, item in value.items()}
    return (
        [_replace_non_finite(item) for item in value] if isinstance(value, list | tuple) else value
    )


def decode_facts(facts: str | None) -> dict[str, Any]:
    """Dynamic fields from the column `facts`."""
    fields: dict[str, Any] = json.loads(facts) if facts else {}
    return fields


def _finite_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
