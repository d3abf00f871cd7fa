"""Reads of a collection from any thread: its state, rows and vectors, and damage to them.

Rows are read in a snapshot, their vectors without a lock. A slot that a writer changed in between
fails its checksum and is read again; one that fails it while its row is unchanged is damaged.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clipstack.events import Events
from clipstack.index.batches import chunks
from clipstack.index.local import schema
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import vectors_folder
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.naming import dropped_error
from clipstack.index.schema import CollectionInfo

if TYPE_CHECKING:
    import numpy.typing as npt

    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix

    Mask = npt.NDArray[np.bool_]

MAX_BOUND_VALUES = 500
"""Most values bound in one statement."""
MAX_ATTEMPTS = 5
"""How often rows that writers change meanwhile are read again."""
_VERIFY_BYTES = 16 << 20


class CollectionState(NamedTuple):
    """A collection's row in the catalog.

    Attributes:
        file: name of the file with its vectors.
        slots: number of slots of that file in use, free ones included.
        rows: number of rows.
        version: increases with every write.
    """

    file: str
    slots: int
    rows: int
    version: int


def read_state(connection: sqlite3.Connection, number: int) -> CollectionState:
    """The state of the collection `number`.

    Raises:
        NotFoundError: it was dropped.
    """
    query = "SELECT vectors, slots, row_count, version FROM collections WHERE number = ?"
    values = connection.execute(query, (number,)).fetchone()
    if values is None:
        raise dropped_error()
    return CollectionState(*values)


class RowBatch(NamedTuple):
    """Rows and their vectors.

    Attributes:
        slots: float32 [rows, dimension + 2].
        valid: which slots hold the row's vector; others are damaged, or their rows were deleted.
        damaged_count: number of damaged slots.
    """

    rows: list[tuple[Any, ...]]
    slots: Matrix
    valid: Mask
    damaged_count: int


class CollectionReader:
    """Reads a collection; may be used from several threads.

    Args:
        database: which is open.
        number: of the collection in the catalog.
        info: of the collection.
        events: reports damage that is skipped, once per file.
    """

    def __init__(
        self, database: Database, number: int, info: CollectionInfo, events: Events
    ) -> None:
        self.info = info
        self.database = database
        self.number = number
        self.table = schema.rows_table(number)
        self._events = events
        self._reported: set[str] = set()
        self._file: VectorFile | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: all statements inside see one snapshot.

        Raises:
            NotFoundError: the collection was dropped.
        """
        with self.database.reading() as connection:
            self.state(connection)
            yield connection

    def state(self, connection: sqlite3.Connection) -> CollectionState:
        """The collection's state in this snapshot."""
        return read_state(connection, self.number)

    def file(self, state: CollectionState) -> VectorFile:
        """The file with the vectors."""
        with self._lock:
            if self._file is None or self._file.path.name != state.file:
                path = vectors_folder(self.database.path) / state.file
                self._file = VectorFile(path, self.info.dimension)
            return self._file

    def slots(self, state: CollectionState) -> Matrix:
        """The slots of a state, or as many as its file has, not verified; none if it is gone."""
        file = self.file(state)
        with self.database.translate_errors(), contextlib.suppress(FileNotFoundError):
            return file.slots(state.slots)
        return np.empty((0, self.info.dimension + 2), np.float32)

    def condition(self, filter: Expression | None) -> tuple[str, list[Any]]:
        """A filter as an SQL condition, and the values to bind."""
        if filter is None:
            return "1", []
        from clipstack.index.filters.to_sql import to_sql

        return to_sql(filter, schema.words_table(self.number))

    def fetch(self, query: str, values: Sequence[Any]) -> RowBatch:
        """Rows and their vectors; those that a writer changes in between are read again.

        Args:
            query: whose first columns are id, slot and version.
            values: to bind in it.
        """
        state, rows, slots, valid = self._read_once(query, values)
        damaged: set[str] = set()
        for _ in range(MAX_ATTEMPTS):
            failed = [number for number in np.flatnonzero(~valid) if rows[number][0] not in damaged]
            if not failed:
                break
            damaged.update(self.damaged_ids(state, [rows[number] for number in failed]))
            row_numbers = {rows[number][0]: number for number in failed}
            for chunk in chunks(row_numbers.keys() - damaged, MAX_BOUND_VALUES):
                retry_query = f"SELECT * FROM ({query}) WHERE id IN ({schema.placeholders(chunk)})"
                state, *batch = self._read_once(retry_query, [*values, *chunk])
                for row, slot, is_valid in zip(*batch, strict=True):
                    number = row_numbers[row[0]]
                    rows[number], slots[number], valid[number] = row, slot, is_valid
        return RowBatch(rows, slots, valid, len(damaged))

    def _read_once(
        self, query: str, values: Sequence[Any]
    ) -> tuple[CollectionState, list[tuple[Any, ...]], Matrix, Mask]:
        with self.reading() as connection:
            state = self.state(connection)
            rows = connection.execute(query, values).fetchall()
        return state, rows, *self.read_slots(self.file(state), rows)

    def read_slots(self, file: VectorFile, rows: Sequence[Sequence[Any]]) -> tuple[Matrix, Mask]:
        """The slots of rows, float32 [rows, dimension + 2], and which of them are valid.

        Args:
            rows: whose first values are id, slot and version.
        """
        numbers = np.array([row[1] for row in rows], np.int64)
        content = np.zeros((len(rows), self.info.dimension + 2), np.float32)
        if not len(rows):
            return content, np.zeros(0, np.bool_)
        try:
            with self.database.translate_errors():
                slots = file.slots(int(numbers.max()) + 1)
        except FileNotFoundError:  # compacted since, or lost
            return content, np.zeros(len(rows), np.bool_)
        in_file = numbers < len(slots)
        content[in_file] = slots[numbers[in_file]]
        valid = file.verify([row[0] for row in rows], [row[2] for row in rows], content)
        if not valid.all():
            file.unmap()
        return content, valid

    def damaged_ids(self, state: CollectionState, rows: Sequence[Sequence[Any]]) -> list[str]:
        """The ids of rows with an invalid slot that have not changed since they were read.

        The slot of an unchanged row is never written to: if it was invalid, it is damaged.

        Args:
            state: of the collection when the rows were read.
            rows: whose first values are id, slot and version.
        """
        ids: list[str] = []
        with self.reading() as connection:
            if self.state(connection).file != state.file:
                return []
            for chunk in chunks(rows, MAX_BOUND_VALUES):
                condition = f"slot IN ({schema.placeholders(chunk)})"
                query = f"SELECT slot, version FROM {self.table} WHERE {condition}"
                versions = dict(connection.execute(query, [row[1] for row in chunk]).fetchall())
                ids += [row[0] for row in chunk if versions.get(row[1]) == row[2]]
        return ids

    def damaged_rows(self, deadline: float = math.inf) -> Iterator[list[tuple[str, int, int]]]:
        """The id, slot and version of each row with a damaged slot, in lists.

        Args:
            deadline: when to stop, by `time.monotonic`.
        """
        size = max(1, _VERIFY_BYTES // (4 * self.info.dimension + 8))
        query = f"SELECT id, slot, version FROM {self.table} WHERE slot > ? ORDER BY slot LIMIT ?"
        after = -1
        while time.monotonic() <= deadline:
            state, rows, _, valid = self._read_once(query, (after, size))
            if not rows:
                return
            after = rows[-1][1]
            failed = [row for row, is_valid in zip(rows, valid, strict=True) if not is_valid]
            damaged = set(self.damaged_ids(state, failed)) if failed else ()
            if damaged:
                yield [(row[0], row[1], row[2]) for row in failed if row[0] in damaged]

    def report_damage(self, file: VectorFile) -> None:
        """Report that pictures can't be found because their vectors are damaged."""
        message = (
            f"{file.path} is damaged, and some pictures can't be found: "
            "`clipstack doctor` says how many, and what to do."
        )
        with self._lock:
            already_reported = message in self._reported
            self._reported.add(message)
        if not already_reported:
            self._events.note(message)
