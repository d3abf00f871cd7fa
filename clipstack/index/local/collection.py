"""A collection of a local index: rows in SQLite, vectors in a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.events import Events
from clipstack.index.base import FileSignature, Hit, PictureTags
from clipstack.index.batches import chunks
from clipstack.index.local import mutations, row_table, schema
from clipstack.index.local.database import Database
from clipstack.index.local.nearest_rows import ExactSearch
from clipstack.index.local.reader import (
    MAX_ATTEMPTS,
    MAX_BOUND_VALUES,
    CollectionReader,
)
from clipstack.index.schema import CollectionInfo, Row, id_bound

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

_BATCH_BYTES = 4 << 20
_FETCH_ROWS = 4096


class LocalCollection:
    """A collection of a local index; may be used from several threads.

    Args:
        database: which is open.
        number: of the collection in the catalog.
        info: of the collection.
        events: reports damage that is skipped.
    """

    def __init__(
        self, database: Database, number: int, info: CollectionInfo, events: Events
    ) -> None:
        self.info = info
        self._database = database
        self._number = number
        self._events = events
        self._rows = schema.rows_table(number)
        self._reader = CollectionReader(database, number, info, events)
        self._searcher = ExactSearch(self._reader)

    def require_exists(self) -> None:
        """Check that it was not dropped."""
        with self._reader.reading():
            pass

    def prepare(self) -> None:
        """Ask the system to read the vectors from the disk in the background."""
        with self._reader.reading() as connection:
            state = self._reader.state(connection)
        with contextlib.suppress(FileNotFoundError), self._database.translate_errors():
            self._reader.file(state).read_ahead(state.slots)

    def file_signatures(self, ids: Sequence[str]) -> dict[str, FileSignature]:
        """The file signature of each of `ids` that is stored; those with truncated vectors are left
        out, so that an import restores them."""
        signatures: dict[str, FileSignature] = {}
        with self._reader.reading() as connection:
            slots = self._reader.file(self._reader.state(connection)).slot_count()
            for chunk in chunks(ids, MAX_BOUND_VALUES):
                query = (
                    f"SELECT id, size, mtime_ns, digest FROM {self._rows} "
                    f"WHERE id IN ({schema.placeholders(chunk)}) AND slot < ?"
                )
                for id, size, mtime_ns, digest in connection.execute(query, [*chunk, slots]):
                    signatures[id] = FileSignature(size, mtime_ns, digest)
        return signatures

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one."""
        distinct = sorted(set(digests))
        query = (
            f"SELECT id, slot, version, digest FROM {self._rows} WHERE digest IN ({{}}) "
            "GROUP BY digest"
        )
        return self._vectors(query, distinct)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        return self._vectors(
            f"SELECT id, slot, version, id FROM {self._rows} WHERE id IN ({{}})", ids
        )

    def _vectors(self, query: str, keys: Sequence[str]) -> dict[str, Vector]:
        """Vectors by the last column of `query`, whose first ones are id, slot and version."""
        vectors: dict[str, Vector] = {}
        for chunk in chunks(keys, MAX_BOUND_VALUES):
            batch = self._reader.fetch(query.format(schema.placeholders(chunk)), chunk)
            for (*_, key), slot, is_valid in zip(*batch[:3], strict=True):
                if is_valid:
                    vectors[key] = slot[: self.info.dimension].copy()
        return vectors

    def upsert(self, rows: Sequence[Row], *, new: bool = False) -> None:  # noqa: ARG002
        """Write rows, replacing those with the same ids, whose tags stay."""
        mutations.upsert(self._database, self._number, self.info, rows)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows with these ids; returns how many it deleted."""
        return mutations.delete(self._database, self._number, ids)

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Replace the tags of rows, given by id."""
        mutations.set_tags(self._database, self._number, tags)

    def search(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        filter: Expression | None = None,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first; the search is exact."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        hits = self._searcher.search(vectors, limit + offset, filter)
        return [query_hits[offset:] for query_hits in hits]

    def count(self, filter: Expression | None = None) -> int:
        """Number of rows that match a filter."""
        with self._reader.reading() as connection:
            if filter is None:
                return self._reader.state(connection).rows
            condition, values = self._reader.condition(filter)
            query = f"SELECT count(*) FROM {self._rows} WHERE {condition}"
            return int(connection.execute(query, values).fetchone()[0])

    def is_empty(self) -> bool:
        """Whether the collection has no rows."""
        return not self.count()

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors of the `count` rows with the lowest ids."""
        condition, values = self._reader.condition(filter)
        if filter is not None and rows > count:  # a little more than enough of the ids
            condition = f"({condition}) AND id < ?"
            values = [*values, id_bound(min(1.0, 1.2 * count / rows))]
        query = f"SELECT id, slot, version FROM {self._rows} WHERE {condition} ORDER BY id LIMIT ?"
        for _ in range(MAX_ATTEMPTS):
            sample = self._reader.fetch(query, [*values, count])
            if sample.valid.sum() + sample.damaged_count == len(
                sample.rows
            ):  # none was deleted meanwhile
                break
        return np.ascontiguousarray(sample.slots[sample.valid, : self.info.dimension])

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None if it is not stored."""
        query = f"SELECT {row_table.ROW_COLUMNS} FROM {self._rows} WHERE id = ?"
        with self._reader.reading() as connection:
            values = connection.execute(query, (id,)).fetchone()
        return row_table.to_fields(values) if values else None

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches, by ascending id."""
        size = max(1, _BATCH_BYTES // (4 * self.info.dimension + 500))
        condition, values = self._reader.condition(filter)
        query = (
            f"SELECT id, slot, version, {row_table.ROW_COLUMNS} FROM {self._rows} "
            f"WHERE id > ? AND ({condition}) ORDER BY id LIMIT ?"
        )
        while True:
            batch = self._reader.fetch(query, [after, *values, size])
            if not batch.rows:
                return
            if batch.damaged_count:
                self._events.note(
                    f"{batch.damaged_count} rows are left out: their vectors are damaged."
                )
            yield [
                row_table.to_row(row[3:], slot[: self.info.dimension])
                for row, slot, is_valid in zip(*batch[:3], strict=True)
                if is_valid
            ]
            after = batch.rows[-1][0]

    def picture_tags(self, ids: Sequence[str]) -> dict[str, PictureTags]:
        """The path and tags of each of `ids` that is stored."""
        rows: dict[str, PictureTags] = {}
        with self._reader.reading() as connection:
            for chunk in chunks(ids, MAX_BOUND_VALUES):
                condition = f"id IN ({schema.placeholders(chunk)})"
                query = f"SELECT id, path, facts FROM {self._rows} WHERE {condition}"
                for id, path, facts in connection.execute(query, chunk):
                    rows[id] = _decode_tags(id, path, facts)
        return rows

    def all_picture_tags(self, filter: Expression | None = None) -> Iterator[PictureTags]:
        """The path and tags of every row, or of those that match a filter."""
        condition, values = self._reader.condition(filter)
        query = (
            f"SELECT id, path, facts FROM {self._rows} "
            f"WHERE id > ? AND ({condition}) ORDER BY id LIMIT {_FETCH_ROWS}"
        )
        after = ""
        while True:
            with self._reader.reading() as connection:
                rows = connection.execute(query, [after, *values]).fetchall()
            for id, path, facts in rows:
                yield _decode_tags(id, path, facts)
            if len(rows) < _FETCH_ROWS:
                return
            after = rows[-1][0]


def _decode_tags(id: str, path: str, facts: str | None) -> PictureTags:
    tags = json.loads(facts).get("tags", ()) if facts and '"tags"' in facts else ()
    return PictureTags(id, path, tuple(tags))
