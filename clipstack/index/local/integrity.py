"""What is wrong with a database: its journal, its SQLite file, its vectors; and what to do."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import ClipstackError
from clipstack.index.local import compaction
from clipstack.index.local.database import Database
from clipstack.index.local.errors import explained_os
from clipstack.index.local.filesystem import network_type, vectors_folder
from clipstack.index.local.reader import Reader
from clipstack.index.schema import CollectionInfo
from clipstack.units import format_bytes

_WAIT = 5.0
_MOST_ERRORS = 3
_STEPS = 10_000
"""Of SQLite's machine between two looks at the clock."""
_AGAIN = "Restore a copy; or move the file and its vectors away, and import again."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: "ok", "warn" or "fail".
        subject: what, in a word or two.
        text: what was found.
        fix: what to type, for all that is not ok.
    """

    level: str
    subject: str
    text: str
    fix: str = ""


def check(path: Path, *, seconds: float = math.inf) -> list[Finding]:
    """Look at the database at `path`, and at every vector in it.

    A file that is damaged is a finding, not an error.

    Args:
        seconds: for all of it; what there was no time for is said.
    """
    until = time.monotonic() + seconds
    try:
        size = path.stat().st_size
        if not size and not any(vectors_folder(path).glob("*.f32")):
            return [Finding("ok", "database", f"{path} is empty: nothing is imported")]
        database = Database(path, wait=_WAIT)
    except ClipstackError as error:
        return [_failure(error)]
    except OSError as error:
        return [_failure(explained_os(path, error))]
    try:
        return list(_findings(database, until))
    finally:
        database.close()


def _findings(database: Database, until: float) -> Iterator[Finding]:
    parts = (
        _database(database),
        _journal(database),
        _sqlite(database, min(until, (time.monotonic() + until) / 2)),
        _collections(database, until),
        _leftovers(database),
    )
    for part in parts:
        try:
            yield from part
        except ClipstackError as error:
            yield _failure(error)
        except OSError as error:
            yield _failure(explained_os(database.path, error))


def _failure(error: ClipstackError, subject: str = "database") -> Finding:
    return Finding("fail", subject, error.message, error.hint or _AGAIN)


def _database(database: Database) -> Iterator[Finding]:
    vectors = sum(file.stat().st_size for file in vectors_folder(database.path).glob("*"))
    files = (database.path, database.path.with_name(f"{database.path.name}-wal"))
    rows = sum(file.stat().st_size for file in files if file.exists())
    text = f"{database.path}: {format_bytes(rows)}, and {format_bytes(vectors)} of vectors"
    if database.read_only:
        text += "; it can only be read here"
    yield Finding("ok", "database", text)


def _journal(database: Database) -> Iterator[Finding]:
    journal, network = database.journal_mode().upper(), network_type(database.path.parent)
    text = "searches and imports go on beside each other"
    again = "Type `clipstack collections compact NAME` while nothing else has the database open."
    if journal == "WAL" and network:
        text = f"it lies on {network}, where another machine that opens it may damage it"
        yield Finding("warn", "journal", f"WAL; {text}", again)
    elif journal == "WAL":
        yield Finding("ok", "journal", f"WAL; {text}")
    elif network:
        text = f"as the file lies on {network}: a search and an import wait for each other"
        yield Finding("ok", "journal", f"{journal}, {text} for moments")
    else:
        text = "though the file lies on this machine: a search and an import wait for each other"
        yield Finding("warn", "journal", f"{journal}, {text}", again)


def _sqlite(database: Database, until: float) -> Iterator[Finding]:
    query = f"PRAGMA quick_check({_MOST_ERRORS})"
    with database.reading() as connection:
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
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
        yield Finding("fail", "SQLite", f"{database.path} is damaged: {text}", _AGAIN)


def _collections(database: Database, until: float) -> Iterator[Finding]:
    with database.reading() as connection:
        query = "SELECT number, name, description FROM collections ORDER BY name"
        collections = connection.execute(query).fetchall()
    for number, name, description in collections:
        subject = f"collection {name}"
        info = CollectionInfo.from_description(name, description)
        if info is None:
            text = f"what the database says of {name!r} is damaged, so that it can't be opened"
            yield Finding("fail", subject, text, _AGAIN)
            continue
        try:
            yield from _collection(Reader(database, number, info, lambda _: None), subject, until)
        except ClipstackError as error:
            yield _failure(error, subject)


def _collection(reader: Reader, subject: str, until: float) -> Iterator[Finding]:
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
    with reader.reading() as connection:  # the rows that are known to be lost without a look
        query = f"SELECT count(*) FROM {reader.table} WHERE slot >= ?"
        cut_off = connection.execute(query, (file.whole_slots(),)).fetchone()[0]
    lost = max(cut_off, sum(len(some) for some in reader.damaged_rows(until)))
    if lost:
        text = f"{lost} of its {rows} rows can't be found: their vectors are damaged"
        slots = file.whole_slots()
        if slots < state.slots:
            text += f", as {file.path} was cut off behind {slots} of {state.slots} slots"
        yield Finding("fail", subject, text, fix)
    if rows != state.rows:
        text = f"it counts {state.rows} rows, but has {rows}"
        fix = f"`clipstack collections compact {name}` counts them again."
        yield Finding("warn", subject, text, fix)
    if not lost and rows == state.rows:
        text = f"{rows} rows, all with their vectors"
        if time.monotonic() > until:
            text = (
                f"{rows} rows; there was no time to look at all of their vectors: "
                f"`clipstack collections compact {name}` does"
            )
        yield Finding("ok", subject, text)


def _leftovers(database: Database) -> Iterator[Finding]:
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
