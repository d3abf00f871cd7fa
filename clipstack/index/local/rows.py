"""Rows as SQLite keeps them, and back."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.index.base import Hit
from clipstack.index.keywords import FOR_FILTERS, shown, with_words
from clipstack.index.local import schema
from clipstack.index.schema import Row

if TYPE_CHECKING:
    from clipstack.index.schema import Vector

STORED = ", ".join(schema.ROW_COLUMNS)
"""The columns that make a row, in the order `row` and `fields` take them."""
HIT_COLUMNS = "id, slot, version, path, width, height, format, size, taken_at, facts"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_INSERTED = ("slot", *schema.ROW_COLUMNS, "lat", "lon", "version")


def insert(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Row]], version: int
) -> None:
    """Insert rows of the collection `number`, each with its slot."""
    table = schema.rows_of(number)
    marks = ", ".join("?" * len(_INSERTED))
    given = list(rows)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(_INSERTED)}) VALUES ({marks})",
        (_values(slot, row, version) for slot, row in given),
    )
    insert_words(connection, number, ((slot, row.facts) for slot, row in given if row.facts))


def _values(slot: int, row: Row, version: int) -> tuple[Any, ...]:
    facts = row.facts
    return (
        *(slot, row.id, row.path, row.digest, row.size, row.mtime_ns, row.width, row.height),
        *(row.format, row.taken_at, row.imported_at, dumped(facts)),
        *(_number(facts.get("lat")), _number(facts.get("lon")), version),
    )


def insert_words(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """Keep what filters look for in the facts of rows, by their slots."""
    connection.executemany(
        f"INSERT OR IGNORE INTO {schema.words_of(number)} VALUES (?, ?, ?)", _words(rows)
    )


def delete_words(
    connection: sqlite3.Connection, number: int, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """Forget what filters look for in the facts of rows, by their slots."""
    connection.executemany(
        f"DELETE FROM {schema.words_of(number)} WHERE kind = ? AND word = ? AND slot = ?",
        _words(rows),
    )


def _words(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[str, str, int]]:
    for slot, facts in rows:
        made = with_words(facts)
        for kind in FOR_FILTERS:
            for word in made.get(kind, ()):
                yield kind, word, slot


def delete(
    connection: sqlite3.Connection, number: int, rows: Sequence[tuple[int, str | None]]
) -> None:
    """Delete rows, given by slot and facts, and mark their slots as free."""
    table = schema.rows_of(number)
    slots = [(slot,) for slot, _ in rows]
    delete_words(connection, number, ((slot, loaded(facts)) for slot, facts in rows if facts))
    connection.executemany(f"DELETE FROM {table} WHERE slot = ?", slots)
    connection.executemany(f"INSERT INTO {schema.free_of(number)} VALUES (?)", slots)


def row(values: Sequence[Any], vector: Vector) -> Row:
    """A Row from the columns `STORED` and its vector."""
    *fixed, facts = values
    id, path, digest, size, mtime_ns, width, height, format, taken_at, imported_at = fixed
    return Row(
        *(id, path, digest, size, mtime_ns, width, height, format, taken_at, imported_at, vector),
        facts=loaded(facts),
    )


def fields(values: Sequence[Any]) -> dict[str, Any]:
    """The fields of a row from the columns `STORED`, dynamic ones beside the fixed ones."""
    *fixed, facts = values
    return {**loaded(facts), **dict(zip(schema.ROW_COLUMNS, fixed, strict=False))}


def hit(values: Sequence[Any], score: float) -> Hit:
    """A hit from the columns `HIT_COLUMNS`."""
    id, _, _, path, width, height, format, size, taken_at, facts = values
    return Hit(id, score, path, width, height, format, size, taken_at, loaded(facts))


def dumped(facts: Mapping[str, Any]) -> str | None:
    """Dynamic fields as the column `facts` keeps them."""
    kept = shown(facts)
    if not kept:
        return None
    try:
        text = _ENCODER.encode(kept)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no place for
        text = json.dumps(kept, separators=(",", ":"))
    except ValueError:
        return dumped({name: _finite(value) for name, value in kept.items()})
    return text


def _finite(value: Any) -> Any:
    """`value` with null for the numbers that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def loaded(facts: str | None) -> dict[str, Any]:
    """Dynamic fields from the column `facts`."""
    found: dict[str, Any] = json.loads(facts) if facts else {}
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
