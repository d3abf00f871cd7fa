"""Changes of a collection's rows.

Every batch is one transaction. Vectors are written to slots that no committed row uses, and synced
before the rows that use them are committed: after a crash or a power failure, every row still has
its vector.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError
from clipstack.index.batches import chunks
from clipstack.index.local import row_table, schema
from clipstack.index.local.database import Database
from clipstack.index.local.errors import DamagedError
from clipstack.index.local.filesystem import vectors_folder
from clipstack.index.local.reader import MAX_BOUND_VALUES, read_state
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo, Row

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix

_BATCH_BYTES = 64 << 20
"""Of vectors written in one transaction. Each transaction touches most pages of the indexes on ids
and digests, so that fewer and larger ones write less."""
_ROW_BYTES = 500
_CHANGE_ROWS = 5000
"""Rows deleted or tagged in one transaction."""


def upsert(database: Database, number: int, info: CollectionInfo, rows: Sequence[Row]) -> None:
    """Write rows into the collection `number`, replacing those with the same ids.

    Raises:
        ClipstackError: a vector is of another dimension, or the database can't be written.
    """
    size = max(1, _BATCH_BYTES // (4 * info.dimension + _ROW_BYTES))
    distinct = {row.id: row for row in rows}
    for batch in chunks(distinct.values(), size):
        _require_dimension(info, batch)
        slots = VectorFile(Path(), info.dimension).pack(
            [row.id for row in batch], [row.vector for row in batch]
        )
        with database.writing() as connection:
            _upsert(database, connection, number, info, batch, slots)


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
    slots: Matrix,
) -> None:
    file, slot_count, row_count, version = read_state(connection, number)
    replaced = _stored_rows(connection, number, [row.id for row in rows])
    reused = _free_slots(connection, number, len(rows))
    appended = len(rows) - len(reused)
    slot_numbers = [*reused, *range(slot_count, slot_count + appended)]
    vectors = VectorFile(vectors_folder(database.path) / file, info.dimension)
    if not vectors.path.exists():
        raise DamagedError(
            f"{vectors.path}: the file with the vectors of {info.name!r} is gone",
            hint=f"Bring it back from a copy, or give its rows up: `clipstack collections compact "
            f"{info.name}`, then import again.",
        )
    vectors.xor_versions(slots, [version + 1])
    vectors.write(slot_numbers, slots)
    row_table.delete(connection, number, list(replaced.values()))
    table = schema.free_slots_table(number)
    connection.executemany(f"DELETE FROM {table} WHERE slot = ?", [(slot,) for slot in reused])
    rows_to_insert = (_keep_tags(row, replaced) for row in rows)
    row_table.insert(
        connection, number, zip(slot_numbers, rows_to_insert, strict=True), version + 1
    )
    set_state(connection, number, slot_count + appended, row_count + len(rows) - len(replaced))


def _keep_tags(row: Row, replaced: Mapping[str, tuple[int, str | None]]) -> Row:
    """The row with the tags of the one it replaces, unless it has tags itself."""
    replaced_row = replaced.get(row.id)
    if replaced_row is None or "tags" in row.facts:
        return row
    tags = row_table.decode_facts(replaced_row[1]).get("tags")
    return dataclasses.replace(row, facts=row.facts | {"tags": tags}) if tags else row


def delete(database: Database, number: int, ids: Sequence[str]) -> int:
    """Delete the rows with these ids from the collection `number`; returns how many it deleted."""
    deleted = 0
    for batch in chunks(dict.fromkeys(ids), _CHANGE_ROWS):
        with database.writing() as connection:
            _, slot_count, row_count, _ = read_state(connection, number)
            rows = list(_stored_rows(connection, number, batch).values())
            row_table.delete(connection, number, rows)
            set_state(connection, number, slot_count, row_count - len(rows))
            deleted += len(rows)
    return deleted


def delete_rows(
    connection: sqlite3.Connection, number: int, rows: Sequence[tuple[str, int, int]]
) -> int:
    """Delete rows given by id, slot and version, unless they changed; returns how many it deleted.

    Args:
        connection: in a write transaction.
    """
    _, slot_count, row_count, _ = read_state(connection, number)
    query = f"SELECT slot, facts FROM {schema.rows_table(number)} WHERE slot = ? AND version = ?"
    candidates = [connection.execute(query, row[1:]).fetchone() for row in rows]
    row_table.delete(connection, number, deleted := [row for row in candidates if row])
    set_state(connection, number, slot_count, row_count - len(deleted))
    return len(deleted)


def set_tags(database: Database, number: int, tags: Mapping[str, Sequence[str]]) -> None:
    """Replace the tags of rows of the collection `number`, given by id."""
    for batch in chunks(tags, _CHANGE_ROWS):
        with database.writing() as connection:
            _, slot_count, row_count, _ = read_state(connection, number)
            changed: list[tuple[int, dict[str, object]]] = []
            stored = _stored_rows(connection, number, batch)
            for id, (slot, text) in stored.items():
                facts = row_table.decode_facts(text)
                facts.pop("tags", None)
                changed.append((slot, facts | ({"tags": list(tags[id])} if tags[id] else {})))
            old_facts = (
                (slot, row_table.decode_facts(text)) for slot, text in stored.values() if text
            )
            row_table.delete_words(connection, number, old_facts)
            connection.executemany(
                f"UPDATE {schema.rows_table(number)} SET facts = ? WHERE slot = ?",
                [(row_table.encode_facts(facts), slot) for slot, facts in changed],
            )
            row_table.insert_words(connection, number, changed)
            set_state(connection, number, slot_count, row_count)


def _stored_rows(
    connection: sqlite3.Connection, number: int, ids: Sequence[str]
) -> dict[str, tuple[int, str | None]]:
    """Slot and facts of those of `ids` that are stored, by id."""
    rows: dict[str, tuple[int, str | None]] = {}
    for chunk in chunks(ids, MAX_BOUND_VALUES):
        query = (
            f"SELECT id, slot, facts FROM {schema.rows_table(number)} "
            f"WHERE id IN ({schema.placeholders(chunk)})"
        )
        for id, slot, facts in connection.execute(query, chunk):
            rows[id] = slot, facts
    return rows


def _free_slots(connection: sqlite3.Connection, number: int, count: int) -> list[int]:
    query = f"SELECT slot FROM {schema.free_slots_table(number)} ORDER BY slot LIMIT ?"
    return [slot for (slot,) in connection.execute(query, (count,))]


def set_state(connection: sqlite3.Connection, number: int, slots: int, count: int) -> None:
    """Set the number of slots and rows of the collection `number`, and increase its version."""
    connection.execute(
        "UPDATE collections SET slots = ?, row_count = ?, version = version + 1 WHERE number = ?",
        (slots, count, number),
    )
