"""The local index: collections in a database on this machine."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from clipstack.errors import UsageError
from clipstack.events import SILENT, Events
from clipstack.index import naming
from clipstack.index.base import CollectionSummary, CompactionResult
from clipstack.index.local import compaction, schema
from clipstack.index.local.collection import LocalCollection
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import sync_folder, vectors_folder
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo, Model
from clipstack.index.vector_index import AUTOINDEX, FLAT, VectorIndex

_CATALOG_COLUMNS = "number, name, description, row_count"


class LocalIndex(AbstractContextManager["LocalIndex"]):
    """Collections in a database on this machine, which many processes may read while one writes.

    Use as a context manager; its methods and collections may be used from several threads.

    Args:
        path: of the SQLite file; vectors are in the folder `<name>-vectors` beside it.
        wait: seconds to wait for another process that writes.
        create: create the database if it does not exist.

    Raises:
        UsageError: it can't be created there.
        ClipstackError: it is damaged, or belongs to another program or a newer clipstack.
    """

    def __init__(self, path: Path, *, wait: float, create: bool = False) -> None:
        self._path = path.expanduser().absolute()
        self.location = str(self._path)
        self._database = Database(self._path, wait=wait, create=create)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._database.close()

    def names(self) -> list[str]:
        """The names of all collections, sorted, without aliases."""
        with self._database.reading() as connection:
            return _names(connection)

    def exists(self, name: str) -> bool:
        """Whether a collection or an alias has that name."""
        naming.check_name(name)
        with self._database.reading() as connection:
            return _find_collection(connection, name) is not None

    def list(self) -> list[CollectionSummary]:
        """Every collection, by name."""
        with self._database.reading() as connection:
            query = f"SELECT {_CATALOG_COLUMNS} FROM collections ORDER BY name"
            return [_summary(connection, *row) for row in connection.execute(query).fetchall()]

    def describe(self, name: str) -> CollectionSummary:
        """One collection."""
        with self._database.reading() as connection:
            return _summary(connection, *_require(connection, name))

    def info(self, name: str) -> CollectionInfo:
        """The description of a collection: its model, dimension and metric."""
        with self._database.reading() as connection:
            return self._info(_require(connection, name))

    def resolve_vector_index(self, requested: VectorIndex) -> VectorIndex:
        """FLAT: every search is exact."""
        if requested.type not in (AUTOINDEX, FLAT):
            raise UsageError(
                f"the embedded target has no {requested.type}, only FLAT",
                hint="Leave out --index there (FLAT is exact), or use a Milvus server: "
                "`clipstack up` starts one.",
            )
        return VectorIndex(FLAT)

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Create an empty collection for the vectors of `model`, compared by `metric`."""
        self.resolve_vector_index(index or VectorIndex())
        naming.check_name(name)
        info = CollectionInfo.for_model(name, model, metric)
        with self._database.writing() as connection:
            _require_free(connection, name)
            number = connection.execute(
                "INSERT INTO collections (name, description, vectors) VALUES (?, ?, '')",
                (name, info.to_description()),
            ).lastrowid
            assert number is not None
            for statement in schema.create_statements(number):
                connection.execute(statement)
            file = VectorFile(vectors_folder(self._path) / f"{number}-1.f32", info.dimension)
            file.path.unlink(missing_ok=True)  # left by a creation that was killed
            file.create()
            sync_folder(file.path.parent)
            sync_folder(self._path.parent)
            connection.execute(
                "UPDATE collections SET vectors = ? WHERE number = ?", (file.path.name, number)
            )
        return info

    def drop(self, name: str) -> int:
        """Delete a collection and its aliases; returns how many rows it had."""
        with self._database.writing() as connection:
            number, own_name, _, rows = _require(connection, name)
            naming.refuse_alias(own_name, name)
            connection.execute("DELETE FROM aliases WHERE collection = ?", (number,))
            connection.execute("DELETE FROM collections WHERE number = ?", (number,))
            for statement in schema.drop_statements(number):
                connection.execute(statement)
        compaction.remove_leftovers(self._database)
        return rows

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Rename a collection; its rows and aliases stay."""
        naming.check_name(new)
        with self._database.writing() as connection:
            row = _require(connection, old)
            naming.refuse_alias(row[1], old)
            _require_free(connection, new)
            info = replace(self._info(row), name=new)
            connection.execute("UPDATE collections SET name = ? WHERE number = ?", (new, row[0]))
        return info

    def set_alias(self, name: str, alias: str) -> str:
        """Point an alias at a collection; returns the collection that had it before, or ""."""
        naming.check_name(alias)
        with self._database.writing() as connection:
            number = _require(connection, name)[0]
            previous = _find_collection(connection, alias)
            if previous is not None and previous[1] == alias:
                raise naming.alias_taken_error(alias)
            connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (alias, number))
        return previous[1] if previous else ""

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias from a collection."""
        with self._database.writing() as connection:
            number, own_name, _, _ = _require(connection, name)
            aliases = _aliases(connection, number)
            if alias not in aliases:
                raise naming.alias_not_found_error(own_name, alias, aliases)
            connection.execute("DELETE FROM aliases WHERE alias = ?", (alias,))

    def load(self, name: str, *, patience: float) -> str:  # noqa: ARG002
        """The collection's own name; nothing needs to be loaded."""
        return self.info(name).name

    def release(self, name: str) -> str:  # noqa: ARG002
        """Raises UsageError, as nothing is held in memory."""
        raise UsageError(
            "the embedded target can't release a collection: a search reads it from the file",
            hint="A Milvus server can: `clipstack up` starts one, and --target stack uses it.",
        )

    def compact(self, name: str, *, wait: bool) -> CompactionResult:  # noqa: ARG002
        """Free the space of rows that were replaced or deleted, and delete damaged ones."""
        with self._database.reading() as connection:
            row = _require(connection, name)
        return compaction.compact(self._database, row[0], self._info(row))

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,  # noqa: ARG002
        events: Events = SILENT,
    ) -> LocalCollection:
        """The rows of a collection."""
        with self._database.reading() as connection:
            row = _require(connection, name)
        return LocalCollection(self._database, row[0], self._info(row), events)

    def _info(self, row: tuple[int, str, str, int]) -> CollectionInfo:
        info = CollectionInfo.from_description(row[1], row[2])
        if info is None:
            raise naming.not_clipstack_error(row[1])
        return info


def _find_collection(connection: sqlite3.Connection, name: str) -> tuple[int, str, str, int] | None:
    """A collection's number, own name, description and rows, by its name or an alias."""
    query = (
        f"SELECT {_CATALOG_COLUMNS} FROM collections WHERE name = :name UNION ALL "
        f"SELECT {_CATALOG_COLUMNS} FROM collections JOIN aliases ON collection = number "
        "WHERE alias = :name"
    )
    row: tuple[int, str, str, int] | None = connection.execute(query, {"name": name}).fetchone()
    return row


def _require(connection: sqlite3.Connection, name: str) -> tuple[int, str, str, int]:
    naming.check_name(name)
    row = _find_collection(connection, name)
    if row is None:
        raise naming.not_found_error(name, _names(connection))
    return row


def _require_free(connection: sqlite3.Connection, name: str) -> None:
    if _find_collection(connection, name) is not None:
        raise naming.name_taken_error(name)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM collections ORDER BY name")]


def _aliases(connection: sqlite3.Connection, number: int) -> tuple[str, ...]:
    query = "SELECT alias FROM aliases WHERE collection = ? ORDER BY alias"
    return tuple(alias for (alias,) in connection.execute(query, (number,)))


def _summary(
    connection: sqlite3.Connection, number: int, name: str, description: str, rows: int
) -> CollectionSummary:
    info = CollectionInfo.from_description(name, description)
    index = VectorIndex(FLAT) if info else None
    return CollectionSummary(name, rows, info, index, aliases=_aliases(connection, number))
