"""Changes of a collection's rows.

Every change is one transaction. Vectors go into slots that no committed row names, and are on the
disk before the rows that name them are committed: whatever ends the process or the machine, a row
has its vector.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError
from clipstack.index.batches import chunks
from clipstack.index.local import rows as stored
from clipstack.index.local import schema
from clipstack.index.local.database import Database
from clipstack.index.local.errors import DamagedError
from clipstack.index.local.filesystem import vectors_folder
from clipstack.index.local.reader import QUERY_IDS, marks, state_of
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo, Row

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix

_BATCH_BYTES = 64 << 20
"""Of vectors written in one transaction: each touches most pages of the indexes of ids and digests,
so that larger ones write less."""
_ROW_BYTES = 500
_CHANGED = 5000
"""Rows deleted or tagged in one transaction."""


def upsert(database: Database, number: int, info: CollectionInfo, rows: Sequence[Row]) -> None:
    """Write rows into the collection `number`, in place of those with the same ids.

    Raises:
        ClipstackError: a vector is of another dimension, or the database can't be written.
    """
    size = max(1, _BATCH_BYTES // (4 * info.dimension + _ROW_BYTES))
    distinct = {row.id: row for row in rows}
    for batch in chunks(distinct.values(), size):
        _require_dimension(info, batch)
        packed = VectorFile(Path(), info.dimension).packed(
            [row.id for row in batch], [row.vector for row in batch]
        )
        with database.writing() as connection:
            _upsert(database, connection, number, info, batch, packed)


def _require_dimension(info: CollectionInfo, rows: Sequence[Row]) -> None:
    for row in rows:
        if row.vector.shape != (info.dimension,):
            raise ClipstackError(
                f"{row.path}: a vector of {row.vector.size} numbers; collection {info.name!r} has "
                f"{info.dimension}"
            )


def _upsert(
    database: Database,
    connection: sqlite3.Connection,
    number: int,
    info: CollectionInfo,
    rows: Sequence[Row],
    packed: Matrix,
) -> None:
    file, slots, count, version = state_of(connection, number)
    replaced = _existing(connection, number, [row.id for row in rows])
    reused = _reusable(connection, number, len(rows))
    appended = len(rows) - len(reused)
    numbers = [*reused, *range(slots, slots + appended)]
    vectors = VectorFile(vectors_folder(database.path) / file, info.dimension)
    if not vectors.path.exists():
        raise DamagedError(
            f"{vectors.path}: the file with the vectors of {info.name!r} is gone",
            hint=f"Bring it back from a copy, or give its rows up: `clipstack collections compact "
            f"{info.name}`, then import again.",
        )
    vectors.mix(packed, [version + 1])
    vectors.write(numbers, packed)
    stored.delete(connection, number, list(replaced.values()))
    table = schema.free_of(number)
    connection.executemany(f"DELETE FROM {table} WHERE slot = ?", [(slot,) for slot in reused])
    kept = (_with_tags(row, replaced) for row in rows)
    stored.insert(connection, number, zip(numbers, kept, strict=True), version + 1)
    set_state(connection, number, slots + appended, count + len(rows) - len(replaced))


def _with_tags(row: Row, replaced: Mapping[str, tuple[int, str | None]]) -> Row:
    """The row with the tags of the one it replaces, unless it brings its own."""
    before = replaced.get(row.id)
    if before is None or "tags" in row.facts:
        return row
    tags = stored.loaded(before[1]).get("tags")
    return dataclasses.replace(row, facts=row.facts | {"tags": tags}) if tags else row


def delete(database: Database, number: int, ids: Sequence[str]) -> int:
    """Delete the rows of `ids` from the collection `number`; returns how many there were."""
    deleted = 0
    for batch in chunks(dict.fromkeys(ids), _CHANGED):
        with database.writing() as connection:
            _, slots, count, _ = state_of(connection, number)
            rows = list(_existing(connection, number, batch).values())
            stored.delete(connection, number, rows)
            set_state(connection, number, slots, count - len(rows))
            deleted += len(rows)
    return deleted


def delete_rows(
    connection: sqlite3.Connection, number: int, rows: Sequence[tuple[str, int, int]]
) -> int:
    """Delete rows given by id, slot and version, unless they changed; returns how many there were.

    Args:
        connection: that is writing.
    """
    _, slots, count, _ = state_of(connection, number)
    query = f"SELECT slot, facts FROM {schema.rows_of(number)} WHERE slot = ? AND version = ?"
    found = [connection.execute(query, row[1:]).fetchone() for row in rows]
    stored.delete(connection, number, deleted := [row for row in found if row])
    set_state(connection, number, slots, count - len(deleted))
    return len(deleted)


def set_tags(database: Database, number: int, tags: Mapping[str, Sequence[str]]) -> None:
    """Give rows of the collection `number` tags, by their ids, in place of those they have."""
    for batch in chunks(tags, _CHANGED):
        with database.writing() as connection:
            _, slots, count, _ = state_of(connection, number)
            changed: list[tuple[int, dict[str, object]]] = []
            before = _existing(connection, number, batch)
            for id, (slot, text) in before.items():
                facts = stored.loaded(text)
                facts.pop("tags", None)
                changed.append((slot, facts | ({"tags": list(tags[id])} if tags[id] else {})))
            had = ((slot, stored.loaded(text)) for slot, text in before.values() if text)
            stored.delete_words(connection, number, had)
            connection.executemany(
                f"UPDATE {schema.rows_of(number)} SET facts = ? WHERE slot = ?",
                [(stored.dumped(facts), slot) for slot, facts in changed],
            )
            stored.insert_words(connection, number, changed)
            set_state(connection, number, slots, count)


def _existing(
    connection: sqlite3.Connection, number: int, ids: Sequence[str]
) -> dict[str, tuple[int, str | None]]:
    """Slot and facts of those of `ids` that are stored."""
    rows: dict[str, tuple[int, str | None]] = {}
    for chunk in chunks(ids, QUERY_IDS):
        query = f"SELECT id, slot, facts FROM {schema.rows_of(number)} WHERE id IN ({marks(chunk)})"
        for id, slot, facts in connection.execute(query, chunk):
            rows[id] = slot, facts
    return rows


def _reusable(connection: sqlite3.Connection, number: int, count: int) -> list[int]:
    query = f"SELECT slot FROM {schema.free_of(number)} ORDER BY slot LIMIT ?"
    return [slot for (slot,) in connection.execute(query, (count,))]


def set_state(connection: sqlite3.Connection, number: int, slots: int, count: int) -> None:
    """Set how many slots and rows the collection `number` has; its version goes up."""
    connection.execute(
        "UPDATE collections SET slots = ?, row_count = ?, version = version + 1 WHERE number = ?",
        (slots, count, number),
    )
