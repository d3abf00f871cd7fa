"""Compaction: rows that were replaced or deleted give their space back.

The last rows move into free slots, batch by batch, each a transaction of its own; then the used
part of the vectors is copied to a new file, and the catalog is switched over to it. Searches and
imports go on; a process that is killed leaves at most a file that nothing names.
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

from clipstack.index.base import Compacted
from clipstack.index.batches import chunks
from clipstack.index.local import mutations, schema
from clipstack.index.local import rows as stored
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import sync, sync_folder, vectors_folder
from clipstack.index.local.reader import Reader, state_of
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo

_MOVED = 2000
_COPIED_BYTES = 16 << 20
_FREED_PAGES = 2000
_ABANDONED_SECONDS = 3600.0
_SUFFIX = ".f32"
_NAME = re.compile(r"(\d+)-(\d+)\.f32")


class _Move(NamedTuple):
    """A row that goes into another slot."""

    source: int
    version: int
    facts: str | None
    target: int


def compact(database: Database, number: int, info: CollectionInfo) -> Compacted:
    """Compact the collection `number`.

    Rows whose vectors are damaged are deleted: an import brings them back.
    """
    started = time.monotonic()
    before = _size(database)
    lost = _delete_damaged(database, number, info)
    while _move_some(database, number, info):
        pass
    _switch_file(database, number, info)
    _free_pages(database)
    database.choose_journal()
    remove_leftovers(database)
    freed = max(0, before - _size(database))
    return Compacted(info.name, True, time.monotonic() - started, freed=freed, lost=lost)


def _delete_damaged(database: Database, number: int, info: CollectionInfo) -> int:
    lost = 0
    for damaged in Reader(database, number, info, lambda _: None).damaged_rows():
        with database.writing() as connection:
            lost += mutations.delete_rows(connection, number, damaged)
    return lost


def _move_some(database: Database, number: int, info: CollectionInfo) -> bool:
    """Move the last rows into the first free slots; False when no free slot is left."""
    rows, free = schema.rows_of(number), schema.free_of(number)
    with database.writing() as connection:
        query = f"SELECT slot FROM {free} ORDER BY slot LIMIT ?"
        targets = [slot for (slot,) in connection.execute(query, (_MOVED,))]
        query = f"SELECT slot, version, facts FROM {rows} ORDER BY slot DESC LIMIT ?"
        last = connection.execute(query, (len(targets),)).fetchall()
        moves = [
            _Move(source, version, facts, target)
            for (source, version, facts), target in zip(last, targets, strict=False)
            if target < source
        ]
        file = _file(database, connection, number, info)
        if moves:
            _move(connection, number, file, moves)
        used = connection.execute(f"SELECT max(slot) + 1 FROM {rows}").fetchone()[0] or 0
        connection.execute(f"DELETE FROM {free} WHERE slot >= ?", (used,))
        count = state_of(connection, number).rows
        if not moves:
            count = connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
        mutations.set_state(connection, number, used, count)
    return bool(moves)


def _move(
    connection: sqlite3.Connection, number: int, file: VectorFile, moves: list[_Move]
) -> None:
    rows, free = schema.rows_of(number), schema.free_of(number)
    version = state_of(connection, number).version + 1
    sources = np.array([move.source for move in moves], np.int64)
    content = file.slots(int(sources.max()) + 1)[sources]
    file.mix(content, [move.version for move in moves])
    file.mix(content, [version])
    file.write([move.target for move in moves], content)
    facts = [stored.loaded(move.facts) for move in moves]
    stored.delete_words(
        connection, number, zip((move.source for move in moves), facts, strict=True)
    )
    stored.insert_words(
        connection, number, zip((move.target for move in moves), facts, strict=True)
    )
    connection.executemany(f"DELETE FROM {free} WHERE slot = ?", [(move.target,) for move in moves])
    connection.executemany(
        f"UPDATE {rows} SET slot = ?, version = ? WHERE slot = ?",
        [(move.target, version, move.source) for move in moves],
    )
    connection.executemany(f"INSERT INTO {free} VALUES (?)", [(move.source,) for move in moves])


def _switch_file(database: Database, number: int, info: CollectionInfo) -> None:
    """Copy the used slots to a new file and switch over to it, if that is smaller, or if the old
    one is lost."""
    with database.reading() as connection:
        old = _file(database, connection, number, info)
        _, slots, _, version = state_of(connection, number)
    if old.path.exists() and old.whole_slots() <= slots:
        return
    new = _new_file(old)
    # Another compaction that ended first takes the new file for one left behind.
    with contextlib.suppress(FileNotFoundError):
        if slots:
            _copy(old, new, slots)
        with database.writing() as connection:
            if _file(database, connection, number, info).path != old.path:
                new.path.unlink()
                return
            _copy_later(connection, number, old, new, version)
            new.lengthen(state_of(connection, number).slots)
            sync_folder(new.path.parent)
            connection.execute(
                "UPDATE collections SET vectors = ?, version = version + 1 WHERE number = ?",
                (new.path.name, number),
            )


def _new_file(old: VectorFile) -> VectorFile:
    """An empty file with the next number that no file has; one left behind may have the first."""
    number = old.path.name.partition("-")[0]
    for later in itertools.count(_generation(old.path.name) + 1):
        new = VectorFile(old.path.with_name(f"{number}-{later}{_SUFFIX}"), old.dimension)
        with contextlib.suppress(FileExistsError):
            new.create()
            return new
    raise AssertionError


def _copy(old: VectorFile, new: VectorFile, slots: int) -> None:
    size = max(1, _COPIED_BYTES // old.slot_bytes)
    content = old.slots(slots)
    with new.path.open("r+b") as file:
        for start in range(0, slots, size):
            file.write(np.ascontiguousarray(content[start : start + size]).data.cast("B"))
        file.flush()
        sync(file.fileno())


def _copy_later(
    connection: sqlite3.Connection, number: int, old: VectorFile, new: VectorFile, version: int
) -> None:
    """Copy the slots that were written after the collection had that version."""
    query = f"SELECT slot FROM {schema.rows_of(number)} WHERE version > ? ORDER BY slot"
    written = [slot for (slot,) in connection.execute(query, (version,))]
    for some in chunks(written, max(1, _COPIED_BYTES // old.slot_bytes)):
        content = old.slots(some[-1] + 1)[np.array(some, np.int64)]
        new.write(some, content)


def _free_pages(database: Database) -> None:
    """Let SQLite's file shrink by the pages that nothing uses, some at a time."""
    pages = -1
    while pages != (pages := _pages(database)):
        with database.writing() as connection:
            connection.execute(f"PRAGMA incremental_vacuum({_FREED_PAGES})").fetchall()
    with database.errors():
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _pages(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


def leftovers(database: Database) -> list[Path]:
    """Files of vectors that no collection names, or will: of collections that were dropped, of
    compactions that are done, and of those that were ended long ago."""
    folder = vectors_folder(database.path)
    # Listed first: a file that is made later may be named by the time the catalog is read.
    files = sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []
    with database.reading() as connection:
        named = dict(connection.execute("SELECT number, vectors FROM collections").fetchall())
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'collections'"
        last = connection.execute(query).fetchone()
    return [file for file in files if _is_left_over(file, named, last[0] if last else 0)]


def _is_left_over(file: Path, named: Mapping[int, str], last: int) -> bool:
    """Args: `last` is the highest number that a collection ever had."""
    match = _NAME.fullmatch(file.name)
    if match is None:  # not ours
        return False
    number, generation = int(match[1]), int(match[2])
    if number not in named:
        return number <= last or _is_abandoned(file)
    current = _generation(named[number])
    return generation < current or (generation > current and _is_abandoned(file))


def _generation(name: str) -> int:
    """How many files the collection had before the one with that name, and that one."""
    return int(name.removesuffix(_SUFFIX).partition("-")[2])


def _is_abandoned(file: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime > _ABANDONED_SECONDS
    return False


def remove_leftovers(database: Database) -> None:
    """Delete files of vectors that no collection names, unless they are being made."""
    with database.writing():  # no compaction goes over to one of them meanwhile
        for file in leftovers(database):
            with contextlib.suppress(OSError):  # Windows keeps what is mapped
                file.unlink()


def _size(database: Database) -> int:
    folder = vectors_folder(database.path)
    files: list[Any] = [database.path, *(folder.iterdir() if folder.is_dir() else ())]
    sizes = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            sizes += file.stat().st_size
    return sizes


def _file(
    database: Database, connection: sqlite3.Connection, number: int, info: CollectionInfo
) -> VectorFile:
    name = state_of(connection, number).file
    return VectorFile(vectors_folder(database.path) / name, info.dimension)
