"""The collections of a database on this machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from clipstack.errors import ClipstackError, UsageError
from clipstack.index import naming
from clipstack.index.base import Compacted, Described
from clipstack.index.local import compaction, schema
from clipstack.index.local.collection import LocalCollection
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import sync_folder, vectors_folder
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo, Model
from clipstack.index.vector_index import AUTOINDEX, FLAT, VectorIndex

_COLUMNS = "number, name, description, row_count"


class LocalIndex(AbstractContextManager["LocalIndex"]):
    """A database on this machine: many processes read it while one writes.

    Use as a context manager; its methods and collections may be used from several threads.

    Args:
        path: of the SQLite file; vectors are in the folder `<name>-vectors` beside it.
        wait: seconds to wait for another process that writes.
        create: make the database where there is none.

    Raises:
        UsageError: it can't be made there.
        ClipstackError: it is of another program, of a newer clipstack, or damaged.
    """

    def __init__(self, path: Path, *, wait: float, create: bool = False) -> None:
        self._path = path.expanduser().absolute()
        self.where = str(self._path)
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
        """Whether there is a collection, or an alias, called `name`."""
        naming.check_name(name)
        with self._database.reading() as connection:
            return _find(connection, name) is not None

    def list(self) -> list[Described]:
        """Every collection, by name."""
        with self._database.reading() as connection:
            query = f"SELECT {_COLUMNS} FROM collections ORDER BY name"
            return [_described(connection, *row) for row in connection.execute(query).fetchall()]

    def describe(self, name: str) -> Described:
        """One collection."""
        with self._database.reading() as connection:
            return _described(connection, *_required(connection, name))

    def info(self, name: str) -> CollectionInfo:
        """What a collection says of itself."""
        with self._database.reading() as connection:
            return self._info(_required(connection, name))

    def check_vector_index(self, wanted: VectorIndex) -> VectorIndex:
        """FLAT: every search is exact."""
        if wanted.type not in (AUTOINDEX, FLAT):
            raise UsageError(
                f"the embedded target has no {wanted.type}, only FLAT",
                hint="Leave out --index there (FLAT is exact), or use a Milvus server: "
                "`clipstack up` starts one.",
            )
        return VectorIndex(FLAT)

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Make an empty collection for the vectors of `model`, compared by `metric`."""
        self.check_vector_index(index or VectorIndex())
        naming.check_name(name)
        info = CollectionInfo.of(name, model, metric)
        with self._database.writing() as connection:
            _require_free(connection, name)
            number = connection.execute(
                "INSERT INTO collections (name, description, vectors) VALUES (?, ?, '')",
                (name, info.to_description()),
            ).lastrowid
            assert number is not None
            for statement in schema.create(number):
                connection.execute(statement)
            file = VectorFile(vectors_folder(self._path) / f"{number}-1.f32", info.dimension)
            file.path.unlink(missing_ok=True)  # of a creation that was cut off
            file.create()
            sync_folder(file.path.parent)
            sync_folder(self._path.parent)
            connection.execute(
                "UPDATE collections SET vectors = ? WHERE number = ?", (file.path.name, number)
            )
        return info

    def drop(self, name: str) -> int:
        """Delete a collection, and its aliases with it; returns how many rows went."""
        with self._database.writing() as connection:
            number, own, _, rows = _required(connection, name)
            naming.require_own_name(own, name)
            connection.execute("DELETE FROM aliases WHERE collection = ?", (number,))
            connection.execute("DELETE FROM collections WHERE number = ?", (number,))
            for statement in schema.drop(number):
                connection.execute(statement)
        compaction.remove_leftovers(self._database)
        return rows

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Give a collection another name; its rows and aliases stay."""
        naming.check_name(new)
        with self._database.writing() as connection:
            row = _required(connection, old)
            naming.require_own_name(row[1], old)
            _require_free(connection, new)
            info = replace(self._info(row), name=new)
            connection.execute("UPDATE collections SET name = ? WHERE number = ?", (new, row[0]))
        return info

    def set_alias(self, name: str, alias: str) -> str:
        """Give a collection another name beside its own; returns which one had it before."""
        naming.check_name(alias)
        with self._database.writing() as connection:
            number = _required(connection, name)[0]
            before = _find(connection, alias)
            if before is not None and before[1] == alias:
                raise ClipstackError(
                    f"there is a collection {alias!r} already", hint="Choose another alias."
                )
            connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (alias, number))
        return before[1] if before else ""

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away from a collection."""
        with self._database.writing() as connection:
            number, own, _, _ = _required(connection, name)
            have = _aliases(connection, number)
            if alias not in have:
                raise naming.no_such_alias(own, alias, have)
            connection.execute("DELETE FROM aliases WHERE alias = ?", (alias,))

    def load(self, name: str, *, patience: float) -> str:  # noqa: ARG002
        """The collection's own name: nothing has to be loaded."""
        return self.info(name).name

    def release(self, name: str) -> str:  # noqa: ARG002
        """Raises UsageError: nothing is held in memory."""
        raise UsageError(
            "the embedded target can't release a collection: a search reads it from the file",
            hint="A Milvus server can: `clipstack up` starts one, and --target stack uses it.",
        )

    def compact(self, name: str, *, wait: bool) -> Compacted:  # noqa: ARG002
        """Give back the space of rows that were replaced or deleted, and drop damaged ones."""
        with self._database.reading() as connection:
            row = _required(connection, name)
        return compaction.compact(self._database, row[0], self._info(row))

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,  # noqa: ARG002
        note: Callable[[str], None] = lambda _: None,
    ) -> LocalCollection:
        """The rows of a collection."""
        with self._database.reading() as connection:
            row = _required(connection, name)
        return LocalCollection(self._database, row[0], self._info(row), note)

    def _info(self, row: tuple[int, str, str, int]) -> CollectionInfo:
        info = CollectionInfo.from_description(row[1], row[2])
        if info is None:
            raise naming.not_ours(row[1])
        return info


def _find(connection: sqlite3.Connection, name: str) -> tuple[int, str, str, int] | None:
    """A collection's number, own name, description and rows, by its name or an alias."""
    query = (
        f"SELECT {_COLUMNS} FROM collections WHERE name = :name UNION ALL "
        f"SELECT {_COLUMNS} FROM collections JOIN aliases ON collection = number "
        "WHERE alias = :name"
    )
    row: tuple[int, str, str, int] | None = connection.execute(query, {"name": name}).fetchone()
    return row


def _required(connection: sqlite3.Connection, name: str) -> tuple[int, str, str, int]:
    naming.check_name(name)
    row = _find(connection, name)
    if row is None:
        raise naming.missing(name, _names(connection))
    return row


def _require_free(connection: sqlite3.Connection, name: str) -> None:
    if _find(connection, name) is not None:
        raise naming.taken(name)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM collections ORDER BY name")]


def _aliases(connection: sqlite3.Connection, number: int) -> tuple[str, ...]:
    query = "SELECT alias FROM aliases WHERE collection = ? ORDER BY alias"
    return tuple(alias for (alias,) in connection.execute(query, (number,)))


def _described(
    connection: sqlite3.Connection, number: int, name: str, description: str, rows: int
) -> Described:
    info = CollectionInfo.from_description(name, description)
    index = VectorIndex(FLAT) if info else None
    return Described(name, rows, info, index, aliases=_aliases(connection, number))
