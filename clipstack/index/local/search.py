"""The rows nearest to a query: vectors compared without a lock, then the rows of the best read.

A row that was not written since the comparison began lay in its slot all the while, so that it is
among the best compared if it is among the nearest. Those written since are few: they are read and
compared again. So the answer is that of the moment at which the rows are read.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.index.base import Hit
from clipstack.index.batches import chunks
from clipstack.index.local import exact_search, filtering
from clipstack.index.local import rows as stored
from clipstack.index.local.reader import QUERY_IDS, Reader, State, marks

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.local.reader import Whole
    from clipstack.index.local.vector_file import Slots
    from clipstack.index.schema import Matrix, Vector

_EXTRA = (0, 1024, 16_384)
"""Candidates beyond those wanted, at each attempt: as many may be damaged, or gone meanwhile."""
_MOST_WRITTEN = 20_000
"""Rows written during a comparison that are compared again; more call for another attempt."""
_GATHERED = 4096


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A collection when a comparison begins.

    Attributes:
        slots: as many as lie in the file.
        allowed: the only ones that may be found; None for all.
    """

    state: State
    slots: Matrix
    allowed: Slots | None


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of candidates when a comparison is done.

    Attributes:
        unchanged: for each query, those of its candidates that were not written since it began.
        written: those of the collection that were.
        are_all: whether `written` holds all of those.
    """

    state: State
    unchanged: list[list[tuple[Any, ...]]]
    written: list[tuple[Any, ...]]
    are_all: bool


class NearestRows:
    """Exact searches of a collection, from several threads at once.

    Args:
        reader: of the collection.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._metric = reader.info.metric
        self._live: tuple[int, Slots] | None = None

    def find(self, vectors: Matrix, wanted: int, filter: Expression | None) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first.

        Args:
            vectors: float32 [queries, dimension].
            wanted: the most for each.
            filter: only rows it is true of.
        """
        hits: list[list[Hit]] = [[] for _ in vectors]
        waiting = list(range(len(vectors)))
        attempts = deque(_EXTRA)
        is_damaged = False
        while waiting and attempts:
            extra = attempts[0]
            snapshot = self._snapshot(filter)
            if is_damaged and len(attempts) == 1:
                snapshot = self._without_damaged(snapshot)
            slots = exact_search.candidates(
                snapshot.slots, vectors[waiting], self._metric, wanted + extra, snapshot.allowed
            )
            rows = self._rows(snapshot, slots, filter)
            if rows is None:  # compacted since
                continue
            attempts.popleft()
            short = []
            for number, some, unchanged in zip(waiting, slots, rows.unchanged, strict=True):
                are_complete = len(some) < wanted + extra + exact_search.SPARE
                best, left, damaged = self._scored(rows, vectors[number], unchanged, filter)
                hits[number] = best[:wanted]
                is_damaged = is_damaged or damaged > 0
                enough = are_complete or left >= wanted + exact_search.SPARE // 2
                if not (enough and rows.are_all):
                    short.append(number)
            waiting = short
        return hits

    def _without_damaged(self, snapshot: _Snapshot) -> _Snapshot:
        """A snapshot without the slots that are damaged, of which there are more than a search
        can pass over: every vector is read."""
        damaged = [slot for rows in self._reader.damaged_rows() for _, slot, _ in rows]
        allowed = snapshot.allowed
        if allowed is None:
            allowed = np.arange(len(snapshot.slots))
        return replace(snapshot, allowed=np.setdiff1d(allowed, np.array(damaged, np.int64)))

    def _snapshot(self, filter: Expression | None) -> _Snapshot:
        reader = self._reader
        while True:
            with reader.reading() as connection:
                state = reader.state(connection)
                allowed = self._allowed(connection, state, filter)
            slots = reader.slots(state)
            if len(slots) == state.slots:
                return _Snapshot(state, slots, allowed)
            with reader.reading() as connection:
                if reader.state(connection).file != state.file:
                    continue  # compacted since
                query = f"SELECT 1 FROM {reader.table} WHERE slot >= ? LIMIT 1"
                are_cut_off = connection.execute(query, (len(slots),)).fetchone()
            if are_cut_off:
                reader.note_damage(reader.file(state))
            if allowed is not None:
                allowed = allowed[allowed < len(slots)]
            return _Snapshot(state, slots, allowed)

    def _allowed(
        self, connection: sqlite3.Connection, state: State, filter: Expression | None
    ) -> Slots | None:
        if filter is not None:
            return filtering.slots(connection, self._reader.number, filter)
        if state.rows == state.slots:
            return None
        if self._live is None or self._live[0] != state.version:
            free = filtering.free(connection, self._reader.number)
            live = np.ones(state.slots, np.bool_)
            live[free[free < state.slots]] = False
            self._live = state.version, np.flatnonzero(live)
        return self._live[1]

    def _rows(
        self, snapshot: _Snapshot, candidates: list[Slots], filter: Expression | None
    ) -> _Rows | None:
        """The rows of each query's candidates; None when the collection went over to another file,
        as the candidates are slots of the old one."""
        reader, since = self._reader, snapshot.state.version
        with reader.reading() as connection:
            state = reader.state(connection)
            if state.file != snapshot.state.file:
                return None
            # Where nothing was written the filter is still true of its slots.
            condition, values = reader.condition(filter if state.version > since else None)
            select = f"SELECT {stored.HIT_COLUMNS} FROM {reader.table} WHERE ({condition}) AND "
            unchanged = []
            for slots in candidates:
                rows: list[tuple[Any, ...]] = []
                for chunk in chunks(slots.tolist(), QUERY_IDS):
                    query = f"{select} slot IN ({marks(chunk)}) AND version <= ?"
                    rows += connection.execute(query, [*values, *chunk, since])
                unchanged.append(rows)
            written: list[tuple[Any, ...]] = []
            if state.version > since:
                query = f"{select} version > ? LIMIT ?"
                limited = [*values, since, _MOST_WRITTEN + 1]
                written = connection.execute(query, limited).fetchall()
        return _Rows(state, unchanged, written, len(written) <= _MOST_WRITTEN)

    def _scored(
        self,
        rows: _Rows,
        query: Vector,
        unchanged: list[tuple[Any, ...]],
        filter: Expression | None,
    ) -> tuple[list[Hit], int, int]:
        """Hits among candidates, best first; how many of the unchanged are left, at the least;
        and how many are damaged."""
        reader, file = self._reader, self._reader.file(rows.state)
        hits: list[Hit] = []
        failed: list[str] = []
        for some in chunks([*unchanged, *rows.written], _GATHERED):
            content, whole = reader.checked(file, some)
            hits += self._hits(some, content, whole, query)
            failed += [row[0] for row, is_whole in zip(some, whole, strict=True) if not is_whole]
        damaged = 0
        condition, values = reader.condition(filter if failed else None)
        for ids in chunks(failed, QUERY_IDS):  # changed again, or damaged
            select = f"SELECT {stored.HIT_COLUMNS} FROM {reader.table} WHERE ({condition}) AND "
            again = reader.gathered(f"{select} id IN ({marks(ids)})", [*values, *ids])
            hits += self._hits(again.rows, again.slots, again.whole, query)
            damaged += again.damaged
        if damaged:
            reader.note_damage(file)
        sign = 1 if self._metric == "L2" else -1
        hits.sort(key=lambda hit: (sign * hit.score, hit.id))
        return hits, len(unchanged) - len(failed), damaged

    def _hits(
        self, rows: list[tuple[Any, ...]], slots: Matrix, whole: Whole, query: Vector
    ) -> list[Hit]:
        """Hits of those rows whose slots are whole, in their order."""
        scores = exact_search.scores(slots[:, : self._reader.info.dimension], query, self._metric)
        return [
            stored.hit(row, float(np.float32(score)))
            for row, score, is_whole in zip(rows, scores.tolist(), whole.tolist(), strict=True)
            if is_whole
        ]
