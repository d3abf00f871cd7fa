"""What any thread reads of a collection: its state, the vectors of its rows, and what is damaged.

Rows are read in a snapshot, their vectors without a lock. What a writer changed in between fails
its checksum, and is read again; what fails it twice, unchanged, is damaged.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clipstack.errors import NotFoundError
from clipstack.index.batches import chunks
from clipstack.index.local import schema
from clipstack.index.local.database import Database
from clipstack.index.local.filesystem import vectors_folder
from clipstack.index.local.vector_file import VectorFile
from clipstack.index.schema import CollectionInfo

if TYPE_CHECKING:
    import numpy.typing as npt

    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix

    Whole = npt.NDArray[np.bool_]

QUERY_IDS = 500
"""Values bound in one statement."""
ATTEMPTS = 5
"""How often what writers change meanwhile is read anew."""
_CHECKED_BYTES = 16 << 20


class State(NamedTuple):
    """A collection as its row in the catalog says.

    Attributes:
        file: with its vectors.
        slots: of that file that are in use, free ones included.
        version: goes up with every write.
    """

    file: str
    slots: int
    rows: int
    version: int


def state_of(connection: sqlite3.Connection, number: int) -> State:
    """The state of the collection `number`.

    Raises:
        NotFoundError: it was dropped.
    """
    query = "SELECT vectors, slots, row_count, version FROM collections WHERE number = ?"
    values = connection.execute(query, (number,)).fetchone()
    if values is None:
        raise NotFoundError("the collection is not there any more: it was dropped")
    return State(*values)


class Gathered(NamedTuple):
    """Rows and their vectors.

    Attributes:
        slots: float32 [rows, dimension + 2].
        whole: which slots hold what they should; the others are damaged, or their rows are gone.
        damaged: how many are.
    """

    rows: list[tuple[Any, ...]]
    slots: Matrix
    whole: Whole
    damaged: int


class Reader:
    """A collection, read by several threads at once.

    Args:
        database: which is open.
        number: of the collection in the catalog.
        info: what it says of itself.
        note: told of damage that is passed over, once for each.
    """

    def __init__(
        self, database: Database, number: int, info: CollectionInfo, note: Callable[[str], None]
    ) -> None:
        self.info = info
        self.database = database
        self.number = number
        self.table = schema.rows_of(number)
        self._note = note
        self._noted: set[str] = set()
        self._file: VectorFile | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for all statements inside.

        Raises:
            NotFoundError: the collection is not there any more.
        """
        with self.database.reading() as connection:
            self.state(connection)
            yield connection

    def state(self, connection: sqlite3.Connection) -> State:
        """The collection's state in this snapshot."""
        return state_of(connection, self.number)

    def file(self, state: State) -> VectorFile:
        """The file with the vectors."""
        with self._lock:
            if self._file is None or self._file.path.name != state.file:
                path = vectors_folder(self.database.path) / state.file
                self._file = VectorFile(path, self.info.dimension)
            return self._file

    def slots(self, state: State) -> Matrix:
        """The slots of a state as they lie in its file, or as many as there are; none where the
        file is gone."""
        file = self.file(state)
        with self.database.errors(), contextlib.suppress(FileNotFoundError):
            return file.slots(state.slots)
        return np.empty((0, self.info.dimension + 2), np.float32)

    def condition(self, filter: Expression | None) -> tuple[str, list[Any]]:
        """A filter as a condition of SQL, and its values."""
        if filter is None:
            return "1", []
        from clipstack.index.filters.to_sql import to_sql

        return to_sql(filter, schema.words_of(self.number))

    def gathered(self, query: str, values: Sequence[Any]) -> Gathered:
        """Rows and their vectors, read again where a writer changed them in between.

        Args:
            query: whose first columns are id, slot and version.
            values: bound in it.
        """
        state, rows, slots, whole = self._read(query, values)
        damaged: set[str] = set()
        for _ in range(ATTEMPTS):
            failed = [number for number in np.flatnonzero(~whole) if rows[number][0] not in damaged]
            if not failed:
                break
            damaged.update(self.damaged(state, [rows[number] for number in failed]))
            places = {rows[number][0]: number for number in failed}
            for chunk in chunks(places.keys() - damaged, QUERY_IDS):
                some = f"SELECT * FROM ({query}) WHERE id IN ({marks(chunk)})"
                state, *now = self._read(some, [*values, *chunk])
                for row, slot, is_whole in zip(*now, strict=True):
                    number = places[row[0]]
                    rows[number], slots[number], whole[number] = row, slot, is_whole
        return Gathered(rows, slots, whole, len(damaged))

    def _read(
        self, query: str, values: Sequence[Any]
    ) -> tuple[State, list[tuple[Any, ...]], Matrix, Whole]:
        with self.reading() as connection:
            state = self.state(connection)
            rows = connection.execute(query, values).fetchall()
        return state, rows, *self.checked(self.file(state), rows)

    def checked(self, file: VectorFile, rows: Sequence[Sequence[Any]]) -> tuple[Matrix, Whole]:
        """The slots of rows, and which of them hold what they should.

        Args:
            rows: whose first values are id, slot and version.
        """
        numbers = np.array([row[1] for row in rows], np.int64)
        content = np.zeros((len(rows), self.info.dimension + 2), np.float32)
        if not len(rows):
            return content, np.zeros(0, np.bool_)
        try:
            with self.database.errors():
                slots = file.slots(int(numbers.max()) + 1)
        except FileNotFoundError:  # compacted since, or lost
            return content, np.zeros(len(rows), np.bool_)
        there = numbers < len(slots)
        content[there] = slots[numbers[there]]
        whole = file.are_whole([row[0] for row in rows], [row[2] for row in rows], content)
        if not whole.all():
            file.forget()
        return content, whole

    def damaged(self, state: State, rows: Sequence[Sequence[Any]]) -> list[str]:
        """The ids of those rows that nobody has changed since they were read in that state.

        Nobody writes to the slot of a row that is not changed: if it was not whole then, it is
        damaged.

        Args:
            rows: whose first values are id, slot and version.
        """
        ids: list[str] = []
        with self.reading() as connection:
            if self.state(connection).file != state.file:
                return []
            for chunk in chunks(rows, QUERY_IDS):
                query = f"SELECT slot, version FROM {self.table} WHERE slot IN ({marks(chunk)})"
                now = dict(connection.execute(query, [row[1] for row in chunk]).fetchall())
                ids += [row[0] for row in chunk if now.get(row[1]) == row[2]]
        return ids

    def damaged_rows(self, until: float = math.inf) -> Iterator[list[tuple[str, int, int]]]:
        """The id, slot and version of each row whose slot does not hold its vector, in lists.

        Args:
            until: when to stop looking, by `time.monotonic`.
        """
        size = max(1, _CHECKED_BYTES // (4 * self.info.dimension + 8))
        query = f"SELECT id, slot, version FROM {self.table} WHERE slot > ? ORDER BY slot LIMIT ?"
        after = -1
        while time.monotonic() <= until:
            state, rows, _, whole = self._read(query, (after, size))
            if not rows:
                return
            after = rows[-1][1]
            failed = [row for row, is_whole in zip(rows, whole, strict=True) if not is_whole]
            damaged = set(self.damaged(state, failed)) if failed else ()
            if damaged:
                yield [(row[0], row[1], row[2]) for row in failed if row[0] in damaged]

    def note_damage(self, file: VectorFile) -> None:
        """Tell that pictures can't be found as their vectors are damaged."""
        text = (
            f"{file.path} is damaged, and some pictures can't be found: "
            "`clipstack doctor` says how many, and what to do."
        )
        with self._lock:
            told = text in self._noted
            self._noted.add(text)
        if not told:
            self._note(text)


def marks(values: Sequence[object]) -> str:
    """As many question marks as there are values to bind."""
    return ", ".join("?" * len(values))
