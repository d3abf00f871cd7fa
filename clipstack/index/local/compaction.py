"""Compaction: freeing the space of rows that were replaced or deleted.

The last rows move into free slots, in batches of one transaction each; then the used part of the
vectors is copied to a new file, and the catalog is switched to it. Searches and imports continue
meanwhile; a compaction that is killed leaves at most a file that the catalog does not name.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clipstack.events import SILENT
from clipstack.index.base import CompactionResult
from clipstack.index.batches import chunks
from clipstack.index.local import mutations, row_table, schema
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import sync, sync_folder, vectors_folder
from clipstack.index.local.reader import CollectionReader, read_state
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo

_MOVE_ROWS = 2000
_COPY_BYTES = 16 << 20
_FREED_PAGES = 2000
_ABANDONED_SECONDS = 3600.0
_SUFFIX = ".f32"
_FILE_NAME = re.compile(r"(\d+)-(\d+)\.f32")


class _Move(NamedTuple):
    """A row that moves from the slot `source` to the slot `target`."""

    source: int
    version: int
    facts: str | None
    target: int


def compact(database: Database, number: int, info: CollectionInfo) -> CompactionResult:
    """Compact the collection `number`.

    Rows with damaged vectors are deleted; an import restores them.
    """
    started = time.monotonic()
    before = _disk_usage(database)
    deleted = _delete_damaged(database, number, info)
    while _fill_free_slots(database, number, info):
        pass
    _rewrite_file(database, number, info)
    _free_pages(database)
    database.choose_journal()
    remove_leftovers(database)
    freed = max(0, before - _disk_usage(database))
    return CompactionResult(info.name, True, time.monotonic() - started, freed=freed, lost=deleted)


def _delete_damaged(database: Database, number: int, info: CollectionInfo) -> int:
    deleted = 0
    for damaged in CollectionReader(database, number, info, SILENT).damaged_rows():
        with database.writing() as connection:
            deleted += mutations.delete_rows(connection, number, damaged)
    return deleted


def _fill_free_slots(database: Database, number: int, info: CollectionInfo) -> bool:
    """Move the last rows into the first free slots; returns False when there is nothing to move."""
    rows, free = schema.rows_table(number), schema.free_slots_table(number)
    with database.writing() as connection:
        query = f"SELECT slot FROM {free} ORDER BY slot LIMIT ?"
        targets = [slot for (slot,) in connection.execute(query, (_MOVE_ROWS,))]
        query = f"SELECT slot, version, facts FROM {rows} ORDER BY slot DESC LIMIT ?"
        last = connection.execute(query, (len(targets),)).fetchall()
        moves = [
            _Move(source, version, facts, target)
            for (source, version, facts), target in zip(last, targets, strict=False)
            if target < source
        ]
        file = _current_file(database, connection, number, info)
        if moves:
            _move_rows(connection, number, file, moves)
        used = connection.execute(f"SELECT max(slot) + 1 FROM {rows}").fetchone()[0] or 0
        connection.execute(f"DELETE FROM {free} WHERE slot >= ?", (used,))
        count = read_state(connection, number).rows
        if not moves:
            count = connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
        mutations.set_state(connection, number, used, count)
    return bool(moves)


def _move_rows(
    connection: sqlite3.Connection, number: int, file: VectorFile, moves: list[_Move]
) -> None:
    rows, free = schema.rows_table(number), schema.free_slots_table(number)
    version = read_state(connection, number).version + 1
    sources = np.array([move.source for move in moves], np.int64)
    content = file.slots(int(sources.max()) + 1)[sources]
    file.xor_versions(content, [move.version for move in moves])
    file.xor_versions(content, [version])
    file.write([move.target for move in moves], content)
    facts = [row_table.decode_facts(move.facts) for move in moves]
    row_table.delete_words(
        connection, number, zip((move.source for move in moves), facts, strict=True)
    )
    row_table.insert_words(
        connection, number, zip((move.target for move in moves), facts, strict=True)
    )
    connection.executemany(f"DELETE FROM {free} WHERE slot = ?", [(move.target,) for move in moves])
    connection.executemany(
        f"UPDATE {rows} SET slot = ?, version = ? WHERE slot = ?",
        [(move.target, version, move.source) for move in moves],
    )
    connection.executemany(f"INSERT INTO {free} VALUES (?)", [(move.source,) for move in moves])


def _rewrite_file(database: Database, number: int, info: CollectionInfo) -> None:
    """Copy the used slots to a new file and switch the catalog to it, if the new file is smaller or
    the old one is lost."""
    with database.reading() as connection:
        old = _current_file(database, connection, number, info)
        _, slots, _, version = read_state(connection, number)
    if old.path.exists() and old.slot_count() <= slots:
        return
    new = _new_file(old)
    # Another compaction that finished first may have removed the new file as a leftover.
    with contextlib.suppress(FileNotFoundError):
        if slots:
            _copy(old, new, slots)
        with database.writing() as connection:
            if _current_file(database, connection, number, info).path != old.path:
                new.path.unlink()
                return
            _copy_recent_writes(connection, number, old, new, version)
            new.extend(read_state(connection, number).slots)
            sync_folder(new.path.parent)
            connection.execute(
                "UPDATE collections SET vectors = ?, version = version + 1 WHERE number = ?",
                (new.path.name, number),
            )


def _new_file(old: VectorFile) -> VectorFile:
    """Create an empty file of the next unused generation; a leftover may have the very next."""
    number = old.path.name.partition("-")[0]
    for generation in itertools.count(_generation_of(old.path.name) + 1):
        new = VectorFile(old.path.with_name(f"{number}-{generation}{_SUFFIX}"), old.dimension)
        with contextlib.suppress(FileExistsError):
            new.create()
            return new
    raise AssertionError


def _copy(old: VectorFile, new: VectorFile, slots: int) -> None:
    size = max(1, _COPY_BYTES // old.slot_bytes)
    content = old.slots(slots)
    with new.path.open("r+b") as file:
        for start in range(0, slots, size):
            file.write(np.ascontiguousarray(content[start : start + size]).data.cast("B"))
        file.flush()
        sync(file.fileno())


def _copy_recent_writes(
    connection: sqlite3.Connection, number: int, old: VectorFile, new: VectorFile, version: int
) -> None:
    """Copy the slots that were written after that version of the collection."""
    query = f"SELECT slot FROM {schema.rows_table(number)} WHERE version > ? ORDER BY slot"
    written = [slot for (slot,) in connection.execute(query, (version,))]
    for batch in chunks(written, max(1, _COPY_BYTES // old.slot_bytes)):
        content = old.slots(batch[-1] + 1)[np.array(batch, np.int64)]
        new.write(batch, content)


def _free_pages(database: Database) -> None:
    """Shrink SQLite's file by its free pages, some at a time."""
    pages = -1
    while pages != (pages := _page_count(database)):
        with database.writing() as connection:
            connection.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
    with database.translate_errors():
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _page_count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


def leftovers(database: Database) -> list[Path]:
    """Vector files that no collection uses or is going to use: those of dropped collections, of
    finished compactions, and of compactions killed long ago."""
    folder = vectors_folder(database.path)
    # Listed first: a file created later may be in use by the time the catalog is read.
    files = sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []
    with database.reading() as connection:
        current_files = dict(
            connection.execute("SELECT number, vectors FROM collections").fetchall()
        )
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'collections'"
        last_number = connection.execute(query).fetchone()
    return [
        file
        for file in files
        if _is_leftover(file, current_files, last_number[0] if last_number else 0)
    ]


def _is_leftover(file: Path, current_files: Mapping[int, str], last_number: int) -> bool:
    """Whether no collection uses a file.

    Args:
        current_files: names of the collections' files, by collection number.
        last_number: highest number of a collection so far.
    """
    match = _FILE_NAME.fullmatch(file.name)
    if match is None:  # not ours
        return False
    number, generation = int(match[1]), int(match[2])
    if number not in current_files:
        return number <= last_number or _is_abandoned(file)
    current = _generation_of(current_files[number])
    return generation < current or (generation > current and _is_abandoned(file))


def _generation_of(name: str) -> int:
    """The generation of a vector file: how many files its collection had, this one included."""
    return int(name.removesuffix(_SUFFIX).partition("-")[2])


def _is_abandoned(file: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime > _ABANDONED_SECONDS
    return False


def remove_leftovers(database: Database) -> None:
    """Delete vector files that no collection uses, unless a compaction is writing them."""
    with database.writing():  # no compaction can switch to one of them meanwhile
        for file in leftovers(database):
            with contextlib.suppress(OSError):  # Windows can't delete mapped files
                file.unlink()


def _disk_usage(database: Database) -> int:
    folder = vectors_folder(database.path)
    files: list[Any] = [database.path, *(folder.iterdir() if folder.is_dir() else ())]
    total = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _current_file(
    database: Database, connection: sqlite3.Connection, number: int, info: CollectionInfo
) -> VectorFile:
    name = read_state(connection, number).file
    return VectorFile(vectors_folder(database.path) / name, info.dimension)
