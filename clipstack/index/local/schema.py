"""The tables of a database: the catalog of collections, and the tables of each collection."""

from __future__ import annotations

from collections.abc import Sized

APPLICATION_ID = 0x434C4950
"""Marks a SQLite file as clipstack's: "CLIP" in ASCII (https://www.sqlite.org/fileformat.html)."""

_CATALOG = (
    """
    CREATE TABLE collections (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: files are named by it
        name TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,                 -- CollectionInfo as JSON
        vectors TEXT NOT NULL,                     -- name of the file with its vectors
        slots INTEGER NOT NULL DEFAULT 0,          -- in that file, free ones included
        row_count INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 0         -- goes up with every write
    ) STRICT
    """,
    """
    CREATE TABLE aliases (
        alias TEXT PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collections (number)
    ) STRICT, WITHOUT ROWID
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_CATALOG,)
"""Statements from each schema version to the next; a new database runs all of them."""

ROW_COLUMNS = (
    *("id", "path", "digest", "size", "mtime_ns", "width", "height", "format"),
    *("taken_at", "imported_at", "facts"),
)


def rows_table(number: int) -> str:
    """The name of a collection's table of rows."""
    return f"rows_{number}"


def words_table(number: int) -> str:
    """The name of a collection's table of the words in its `DERIVED_FIELDS`."""
    return f"words_{number}"


def free_slots_table(number: int) -> str:
    """The name of a collection's table of free slots."""
    return f"free_{number}"


def create_statements(number: int) -> tuple[str, ...]:
    """Statements that create the tables of a collection.

    The index on `taken_at` covers all columns that the filters of `search` compare.
    """
    rows, words, free = rows_table(number), words_table(number), free_slots_table(number)
    return (
        f"""
        CREATE TABLE {rows} (
            slot INTEGER PRIMARY KEY,  -- where its vector is in the file
            id TEXT NOT NULL UNIQUE,
            path TEXT NOT NULL,
            digest TEXT NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            format TEXT NOT NULL,
            taken_at INTEGER NOT NULL,
            imported_at INTEGER NOT NULL,
            version INTEGER NOT NULL,  -- of the collection when its vector was written
            lat REAL,
            lon REAL,
            facts TEXT                 -- dynamic fields as a JSON object
        ) STRICT
        """,
        f"CREATE INDEX {rows}_path ON {rows} (path)",
        f"CREATE INDEX {rows}_digest ON {rows} (digest)",
        f"CREATE INDEX {rows}_version ON {rows} (version)",
        f"CREATE INDEX {rows}_taken ON {rows} (taken_at, width, height, size, lat, lon, format)",
        f"""
        CREATE TABLE {words} (
            kind TEXT NOT NULL,
            word TEXT NOT NULL,
            slot INTEGER NOT NULL,
            PRIMARY KEY (kind, word, slot)
        ) STRICT, WITHOUT ROWID
        """,
        f"CREATE TABLE {free} (slot INTEGER PRIMARY KEY) STRICT",
    )


def drop_statements(number: int) -> tuple[str, ...]:
    """Statements that delete the tables of a collection."""
    tables = (rows_table, words_table, free_slots_table)
    return tuple(f"DROP TABLE {name(number)}" for name in tables)


def placeholders(values: Sized) -> str:
    """A question mark for each value to bind, separated by commas."""
    return ", ".join("?" * len(values))
