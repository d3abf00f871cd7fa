"""Exact searches: vectors are scanned without a lock, then the rows of the best slots are read.

A row that has not been written since the scan began was in its slot all the time, so that it is
among the candidates if it is among the nearest. Rows written since are few: they are read and
compared separately. So the result is that of the moment at which the rows are read.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.index.base import Hit
from clipstack.index.batches import chunks
from clipstack.index.local import filtering, row_table, vector_scan
from clipstack.index.local.reader import (
    MAX_BOUND_VALUES,
    CollectionReader,
    CollectionState,
)
from clipstack.index.local.schema import placeholders

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.local.reader import Mask
    from clipstack.index.local.vector_file import Slots
    from clipstack.index.schema import Matrix, Vector

_EXTRA_CANDIDATES = (0, 1024, 16_384)
"""Candidates beyond the limit, by attempt: as many may be damaged, or deleted meanwhile."""
_MAX_WRITTEN_ROWS = 20_000
"""Most rows written during a scan that are compared separately; more need another attempt."""
_FETCH_ROWS = 4096


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A collection when a scan begins.

    Attributes:
        slots: as many as the file has.
        allowed: numbers of the slots that may be found; None for all.
    """

    state: CollectionState
    slots: Matrix
    allowed: Slots | None


@dataclass(frozen=True, slots=True)
class _CandidateRows:
    """The rows of candidates after a scan.

    Attributes:
        unchanged: for each query, the rows of its candidates not written since the scan began.
        written: rows of the collection written since the scan began.
        is_complete: whether `written` holds all of those.
    """

    state: CollectionState
    unchanged: list[list[tuple[Any, ...]]]
    written: list[tuple[Any, ...]]
    is_complete: bool


class ExactSearch:
    """Searches a collection exactly; may be used from several threads.

    Args:
        reader: of the collection.
    """

    def __init__(self, reader: CollectionReader) -> None:
        self._reader = reader
        self._metric = reader.info.metric
        self._live_slots: tuple[int, Slots] | None = None

    def search(self, vectors: Matrix, limit: int, filter: Expression | None) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first.

        Args:
            vectors: float32 [queries, dimension].
            limit: most hits per query.
            filter: that the rows match.
        """
        hits: list[list[Hit]] = [[] for _ in vectors]
        pending = list(range(len(vectors)))
        attempts = deque(_EXTRA_CANDIDATES)
        has_damage = False
        while pending and attempts:
            extra = attempts[0]
            snapshot = self._take_snapshot(filter)
            if has_damage and len(attempts) == 1:
                snapshot = self._exclude_damaged(snapshot)
            candidates_by_query = vector_scan.candidates(
                snapshot.slots, vectors[pending], self._metric, limit + extra, snapshot.allowed
            )
            rows = self._read_candidates(snapshot, candidates_by_query, filter)
            if rows is None:  # compacted since
                continue
            attempts.popleft()
            unfinished = []
            for query_number, candidates, unchanged in zip(
                pending, candidates_by_query, rows.unchanged, strict=True
            ):
                has_all_candidates = len(candidates) < limit + extra + vector_scan.SPARE_CANDIDATES
                query_hits, found, damaged = self._score(
                    rows, vectors[query_number], unchanged, filter
                )
                hits[query_number] = query_hits[:limit]
                has_damage = has_damage or damaged > 0
                has_enough = (
                    has_all_candidates or found >= limit + vector_scan.SPARE_CANDIDATES // 2
                )
                if not (has_enough and rows.is_complete):
                    unfinished.append(query_number)
            pending = unfinished
        return hits

    def _exclude_damaged(self, snapshot: _Snapshot) -> _Snapshot:
        """A snapshot without damaged slots, when there are more than a search can skip: reads every
        vector."""
        damaged_slots = [slot for rows in self._reader.damaged_rows() for _, slot, _ in rows]
        allowed = snapshot.allowed
        if allowed is None:
            allowed = np.arange(len(snapshot.slots))
        return replace(snapshot, allowed=np.setdiff1d(allowed, np.array(damaged_slots, np.int64)))

    def _take_snapshot(self, filter: Expression | None) -> _Snapshot:
        reader = self._reader
        while True:
            with reader.reading() as connection:
                state = reader.state(connection)
                allowed = self._allowed_slots(connection, state, filter)
            slots = reader.slots(state)
            if len(slots) == state.slots:
                return _Snapshot(state, slots, allowed)
            with reader.reading() as connection:
                if reader.state(connection).file != state.file:
                    continue  # compacted since
                query = f"SELECT 1 FROM {reader.table} WHERE slot >= ? LIMIT 1"
                has_truncated_rows = connection.execute(query, (len(slots),)).fetchone()
            if has_truncated_rows:
                reader.report_damage(reader.file(state))
            if allowed is not None:
                allowed = allowed[allowed < len(slots)]
            return _Snapshot(state, slots, allowed)

    def _allowed_slots(
        self, connection: sqlite3.Connection, state: CollectionState, filter: Expression | None
    ) -> Slots | None:
        if filter is not None:
            return filtering.matching_slots(connection, self._reader.number, filter)
        if state.rows == state.slots:
            return None
        if self._live_slots is None or self._live_slots[0] != state.version:
            free_slots = filtering.free_slots(connection, self._reader.number)
            live = np.ones(state.slots, np.bool_)
            live[free_slots[free_slots < state.slots]] = False
            self._live_slots = state.version, np.flatnonzero(live)
        return self._live_slots[1]

    def _read_candidates(
        self, snapshot: _Snapshot, candidates: list[Slots], filter: Expression | None
    ) -> _CandidateRows | None:
        """The rows of each query's candidates; None if the collection was compacted, as the
        candidates are slots of the old file."""
        reader, version = self._reader, snapshot.state.version
        with reader.reading() as connection:
            state = reader.state(connection)
            if state.file != snapshot.state.file:
                return None
            # Without writes, the rows of the filter's slots still match it.
            condition, values = reader.condition(filter if state.version > version else None)
            select = f"SELECT {row_table.HIT_COLUMNS} FROM {reader.table} WHERE ({condition}) AND "
            unchanged = []
            for slots in candidates:
                rows: list[tuple[Any, ...]] = []
                for chunk in chunks(slots.tolist(), MAX_BOUND_VALUES):
                    query = f"{select} slot IN ({placeholders(chunk)}) AND version <= ?"
                    rows += connection.execute(query, [*values, *chunk, version])
                unchanged.append(rows)
            written: list[tuple[Any, ...]] = []
            if state.version > version:
                query = f"{select} version > ? LIMIT ?"
                parameters = [*values, version, _MAX_WRITTEN_ROWS + 1]
                written = connection.execute(query, parameters).fetchall()
        return _CandidateRows(state, unchanged, written, len(written) <= _MAX_WRITTEN_ROWS)

    def _score(
        self,
        rows: _CandidateRows,
        query: Vector,
        unchanged: list[tuple[Any, ...]],
        filter: Expression | None,
    ) -> tuple[list[Hit], int, int]:
        """Scores the candidates of a query.

        Returns:
            Hits, best first; the least number of unchanged candidates among them; and the number of
            damaged rows.
        """
        reader, file = self._reader, self._reader.file(rows.state)
        hits: list[Hit] = []
        invalid_ids: list[str] = []
        for batch in chunks([*unchanged, *rows.written], _FETCH_ROWS):
            content, valid = reader.read_slots(file, batch)
            hits += self._hits(batch, content, valid, query)
            invalid_ids += [
                row[0] for row, is_valid in zip(batch, valid, strict=True) if not is_valid
            ]
        damaged_count = 0
        condition, values = reader.condition(filter if invalid_ids else None)
        for ids in chunks(invalid_ids, MAX_BOUND_VALUES):  # changed again, or damaged
            select = f"SELECT {row_table.HIT_COLUMNS} FROM {reader.table} WHERE ({condition}) AND "
            retry = reader.fetch(f"{select} id IN ({placeholders(ids)})", [*values, *ids])
            hits += self._hits(retry.rows, retry.slots, retry.valid, query)
            damaged_count += retry.damaged_count
        if damaged_count:
            reader.report_damage(file)
        sign = 1 if self._metric == "L2" else -1
        hits.sort(key=lambda hit: (sign * hit.score, hit.id))
        return hits, len(unchanged) - len(invalid_ids), damaged_count

    def _hits(
        self, rows: list[tuple[Any, ...]], slots: Matrix, valid: Mask, query: Vector
    ) -> list[Hit]:
        """Hits for the rows with valid slots, in the same order."""
        scores = vector_scan.scores(slots[:, : self._reader.info.dimension], query, self._metric)
        return [
            row_table.to_hit(row, float(np.float32(score)))
            for row, score, is_valid in zip(rows, scores.tolist(), valid.tolist(), strict=True)
            if is_valid
        ]
