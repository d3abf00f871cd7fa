"""Integrity check of a database: its journal mode, its SQLite file, its vectors and leftovers."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import ClipstackError
from clipstack.events import SILENT
from clipstack.index.local import compaction
from clipstack.index.local.database import Database
from clipstack.index.local.errors import translate_os_error
from clipstack.index.local.filesystem import network_filesystem, vectors_folder
from clipstack.index.local.reader import CollectionReader
from clipstack.index.schema import CollectionInfo
from clipstack.units import format_bytes

_WAIT = 5.0
_MAX_ERRORS = 3
_PROGRESS_STEPS = 10_000
"""Virtual machine instructions of SQLite between two checks of the time."""
_RESTORE_HINT = "Restore a copy; or move the file and its vectors away, and import again."


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        level: "ok", "warn" or "fail".
        subject: what was checked, in a word or two.
        text: the result in words.
        fix: what the user can do, unless the level is "ok".
    """

    level: str
    subject: str
    text: str
    fix: str = ""


def check_database(path: Path, *, seconds: float = math.inf) -> list[Finding]:
    """Check the database at `path`, and every vector in it.

    Damage is reported as a finding, not raised.

    Args:
        seconds: for the whole check; findings say what was not checked in time.
    """
    deadline = time.monotonic() + seconds
    try:
        size = path.stat().st_size
        if not size and not any(vectors_folder(path).glob("*.f32")):
            return [Finding("ok", "database", f"{path} is empty: nothing is imported")]
        database = Database(path, wait=_WAIT)
    except ClipstackError as error:
        return [_failure(error)]
    except OSError as error:
        return [_failure(translate_os_error(path, error))]
    try:
        return list(_findings(database, deadline))
    finally:
        database.close()


def _findings(database: Database, deadline: float) -> Iterator[Finding]:
    parts = (
        _size_findings(database),
        _journal_findings(database),
        _sqlite_findings(database, min(deadline, (time.monotonic() + deadline) / 2)),
        _collection_findings(database, deadline),
        _leftover_findings(database),
    )
    for part in parts:
        try:
            yield from part
        except ClipstackError as error:
            yield _failure(error)
        except OSError as error:
            yield _failure(translate_os_error(database.path, error))


def _failure(error: ClipstackError, subject: str = "database") -> Finding:
    return Finding("fail", subject, error.message, error.hint or _RESTORE_HINT)


def _size_findings(database: Database) -> Iterator[Finding]:
    vectors = sum(file.stat().st_size for file in vectors_folder(database.path).glob("*"))
    files = (database.path, database.path.with_name(f"{database.path.name}-wal"))
    rows = sum(file.stat().st_size for file in files if file.exists())
    text = f"{database.path}: {format_bytes(rows)}, and {format_bytes(vectors)} of vectors"
    if database.read_only:
        text += "; it can only be read here"
    yield Finding("ok", "database", text)


def _journal_findings(database: Database) -> Iterator[Finding]:
    journal, network = database.journal_mode().upper(), network_filesystem(database.path.parent)
    text = "searches and imports go on beside each other"
    fix = "Type `clipstack collections compact NAME` while nothing else has the database open."
    if journal == "WAL" and network:
        text = f"it lies on {network}, where another machine that opens it may damage it"
        yield Finding("warn", "journal", f"WAL; {text}", fix)
    elif journal == "WAL":
        yield Finding("ok", "journal", f"WAL; {text}")
    elif network:
        text = f"as the file lies on {network}: a search and an import wait for each other"
        yield Finding("ok", "journal", f"{journal}, {text} for moments")
    else:
        text = "though the file lies on this machine: a search and an import wait for each other"
        yield Finding("warn", "journal", f"{journal}, {text}", fix)


def _sqlite_findings(database: Database, deadline: float) -> Iterator[Finding]:
    query = f"PRAGMA quick_check({_MAX_ERRORS})"
    with database.reading() as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            errors = [str(text) for (text,) in connection.execute(query)]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            errors = []
        finally:
            connection.set_progress_handler(None, 0)
    if not errors:
        yield Finding("ok", "SQLite", "there was no time to look at all of it")
    elif errors != ["ok"]:
        text = "; ".join(" ".join(error.split()) for error in errors)
        yield Finding("fail", "SQLite", f"{database.path} is damaged: {text}", _RESTORE_HINT)


def _collection_findings(database: Database, deadline: float) -> Iterator[Finding]:
    with database.reading() as connection:
        query = "SELECT number, name, description FROM collections ORDER BY name"
        collections = connection.execute(query).fetchall()
    for number, name, description in collections:
        subject = f"collection {name}"
        info = CollectionInfo.from_description(name, description)
        if info is None:
            text = f"what the database says of {name!r} is damaged, so that it can't be opened"
            yield Finding("fail", subject, text, _RESTORE_HINT)
            continue
        try:
            yield from _findings_of_collection(
                CollectionReader(database, number, info, SILENT), subject, deadline
            )
        except ClipstackError as error:
            yield _failure(error, subject)


def _findings_of_collection(
    reader: CollectionReader, subject: str, deadline: float
) -> Iterator[Finding]:
    with reader.reading() as connection:
        state = reader.state(connection)
        rows = connection.execute(f"SELECT count(*) FROM {reader.table}").fetchone()[0]
    name, file = reader.info.name, reader.file(state)
    fix = (
        f"Bring {file.path} back from a copy; or type `clipstack collections compact {name}`, "
        "which deletes those rows, and import again."
    )
    if not file.path.exists():
        text = f"its vectors are gone ({file.path}): none of its {rows} rows can be found"
        yield Finding("fail", subject, text, fix)
        return
    with reader.reading() as connection:  # rows that are lost for certain, without reading vectors
        query = f"SELECT count(*) FROM {reader.table} WHERE slot >= ?"
        cut_off = connection.execute(query, (file.slot_count(),)).fetchone()[0]
    lost = max(cut_off, sum(len(batch) for batch in reader.damaged_rows(deadline)))
    if lost:
        text = f"{lost} of its {rows} rows can't be found: their vectors are damaged"
        slots = file.slot_count()
        if slots < state.slots:
            text += f", as {file.path} was cut off behind {slots} of {state.slots} slots"
        yield Finding("fail", subject, text, fix)
    if rows != state.rows:
        text = f"it counts {state.rows} rows, but has {rows}"
        fix = f"`clipstack collections compact {name}` counts them again."
        yield Finding("warn", subject, text, fix)
    if not lost and rows == state.rows:
        text = f"{rows} rows, all with their vectors"
        if time.monotonic() > deadline:
            text = (
                f"{rows} rows; there was no time to look at all of their vectors: "
                f"`clipstack collections compact {name}` does"
            )
        yield Finding("ok", subject, text)


def _leftover_findings(database: Database) -> Iterator[Finding]:
    files = compaction.leftovers(database)
    if files:
        size = sum(file.stat().st_size for file in files if file.exists())
        text = (
            f"{len(files)} files in {vectors_folder(database.path)} belong to no collection any "
            f"more ({format_bytes(size)})"
        )
        yield Finding(
            "warn", "leftovers", text, "`clipstack collections compact NAME` deletes them."
        )
