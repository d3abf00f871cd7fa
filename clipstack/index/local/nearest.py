"""The rows nearest to a query: vectors compared without a lock, then the rows of the best read.

A row that was not written since the comparison began lay in its slot all the while, so that it is
among the best compared if it is among the nearest. Those written since are few: they are read and
compared again. So the answer is that of the moment at which the rows are read.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.index.base import Hit
from clipstack.index.local import matching, scan
from clipstack.index.local import rows as stored
from clipstack.index.local.reading import QUERY_IDS, Reader, State, marks

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.local.vectors import Slots
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
        for extra in _EXTRA:
            snapshot = self._snapshot(filter)
            slots = scan.candidates(
                snapshot.slots, vectors[waiting], self._metric, wanted + extra, snapshot.allowed
            )
            rows = self._rows(snapshot, slots, filter)
            if rows is None:  # compacted since
                continue
            short = []
            for number, some, unchanged in zip(waiting, slots, rows.unchanged, strict=True):
                are_complete = len(some) < wanted + extra + scan.SPARE
                best, is_exact = self._scored(
                    rows, vectors[number], unchanged, wanted, are_complete
                )
                hits[number] = best[:wanted]
                if not is_exact:
                    short.append(number)
            waiting = short
            if not waiting:
                break
        return hits

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
            return matching.slots(connection, self._reader.number, filter)
        if state.rows == state.slots:
            return None
        if self._live is None or self._live[0] != state.version:
            free = matching.free(connection, self._reader.number)
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
                for chunk in stored.chunks(slots.tolist(), QUERY_IDS):
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
        wanted: int,
        are_complete: bool,
    ) -> tuple[list[Hit], bool]:
        """Hits among candidates, best first, and whether no better one can be missing.

        Args:
            are_complete: the candidates are all that may be found.
        """
        reader = self._reader
        hits: list[Hit] = []
        failed: list[tuple[Any, ...]] = []
        for some in stored.chunks([*unchanged, *rows.written], _GATHERED):
            content, whole = reader.checked(reader.file(rows.state), some)
            scores = scan.scores(content[:, : reader.info.dimension], query, self._metric)
            for row, score, is_whole in zip(some, scores.tolist(), whole.tolist(), strict=True):
                if is_whole:
                    hits.append(stored.hit(row, float(np.float32(score))))
                else:
                    failed.append(row)
        damaged = reader.damaged(rows.state, failed) if failed else []
        if damaged:
            reader.note_damage(reader.file(rows.state))
        sign = 1 if self._metric == "L2" else -1
        hits.sort(key=lambda hit: (sign * hit.score, hit.id))
        # Each that failed may be one of the candidates: what is left has to be enough.
        left = len(unchanged) - len(failed)
        enough = are_complete or left >= wanted + scan.SPARE // 2
        return hits, enough and rows.are_all and len(damaged) == len(failed)
