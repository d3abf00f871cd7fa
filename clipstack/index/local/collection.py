"""The rows of one collection, in SQLite and in its file of vectors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.index.base import Hit, Known, Tagged
from clipstack.index.batches import chunks
from clipstack.index.local import mutations, schema
from clipstack.index.local import rows as stored
from clipstack.index.local.database import Database
from clipstack.index.local.reader import ATTEMPTS, QUERY_IDS, Reader, marks
from clipstack.index.local.search import NearestRows
from clipstack.index.schema import CollectionInfo, Row, id_bound

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

_READ_BYTES = 4 << 20
_GATHERED = 4096


class LocalCollection:
    """A collection of a local index; read and written by several threads at once.

    Args:
        database: which is open.
        number: of the collection in the catalog.
        info: what it says of itself.
        note: told of damage that is passed over.
    """

    def __init__(
        self, database: Database, number: int, info: CollectionInfo, note: Callable[[str], None]
    ) -> None:
        self.info = info
        self._database = database
        self._number = number
        self._note = note
        self._rows = schema.rows_of(number)
        self._reader = Reader(database, number, info, note)
        self._nearest = NearestRows(self._reader)

    def prepare(self) -> None:
        """Have the system read the vectors from the disk, beside other work."""
        with self._reader.reading() as connection:
            state = self._reader.state(connection)
        with contextlib.suppress(FileNotFoundError), self._database.errors():
            self._reader.file(state).read_ahead(state.slots)

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of each of `ids`; those not stored are left out, and those whose vectors
        were cut off, so that an import brings them back."""
        hits: dict[str, Known] = {}
        with self._reader.reading() as connection:
            slots = self._reader.file(self._reader.state(connection)).whole_slots()
            for chunk in chunks(ids, QUERY_IDS):
                query = (
                    f"SELECT id, size, mtime_ns, digest FROM {self._rows} "
                    f"WHERE id IN ({marks(chunk)}) AND slot < ?"
                )
                for id, size, mtime_ns, digest in connection.execute(query, [*chunk, slots]):
                    hits[id] = Known(size, mtime_ns, digest)
        return hits

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one."""
        wanted = sorted(set(digests))
        query = (
            f"SELECT id, slot, version, digest FROM {self._rows} WHERE digest IN ({{}}) "
            "GROUP BY digest"
        )
        return self._vectors(query, wanted)

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        return self._vectors(
            f"SELECT id, slot, version, id FROM {self._rows} WHERE id IN ({{}})", ids
        )

    def _vectors(self, query: str, keys: Sequence[str]) -> dict[str, Vector]:
        """Vectors by the last column of `query`, whose first ones are id, slot and version."""
        vectors: dict[str, Vector] = {}
        for chunk in chunks(keys, QUERY_IDS):
            found = self._reader.gathered(query.format(marks(chunk)), chunk)
            for (*_, key), slot, is_whole in zip(*found[:3], strict=True):
                if is_whole:
                    vectors[key] = slot[: self.info.dimension].copy()
        return vectors

    def upsert(self, rows: Sequence[Row], *, new: bool = False) -> None:  # noqa: ARG002
        """Write rows, in place of those with the same ids, whose tags stay."""
        mutations.upsert(self._database, self._number, self.info, rows)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows of `ids`; returns how many there were."""
        return mutations.delete(self._database, self._number, ids)

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Give the rows of these ids these tags, in place of those they have."""
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
        """The rows nearest to each of `vectors`, best first; exact."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        hits = self._nearest.find(vectors, limit + offset, filter)
        return [best[offset:] for best in hits]

    def count(self, filter: Expression | None = None) -> int:
        """Rows that a filter lets through."""
        with self._reader.reading() as connection:
            if filter is None:
                return self._reader.state(connection).rows
            condition, values = self._reader.condition(filter)
            query = f"SELECT count(*) FROM {self._rows} WHERE {condition}"
            return int(connection.execute(query, values).fetchone()[0])

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        return not self.count()

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors of the `count` rows with the lowest ids."""
        where, values = self._reader.condition(filter)
        if filter is not None and rows > count:  # a little more than enough of the ids
            where = f"({where}) AND id < ?"
            values = [*values, id_bound(min(1.0, 1.2 * count / rows))]
        query = f"SELECT id, slot, version FROM {self._rows} WHERE {where} ORDER BY id LIMIT ?"
        for _ in range(ATTEMPTS):
            sample = self._reader.gathered(query, [*values, count])
            if sample.whole.sum() + sample.damaged == len(
                sample.rows
            ):  # none was deleted meanwhile
                break
        return np.ascontiguousarray(sample.slots[sample.whole, : self.info.dimension])

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None where there is none."""
        query = f"SELECT {stored.STORED} FROM {self._rows} WHERE id = ?"
        with self._reader.reading() as connection:
            values = connection.execute(query, (id,)).fetchone()
        return stored.fields(values) if values else None

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches, by ascending id."""
        size = max(1, _READ_BYTES // (4 * self.info.dimension + 500))
        condition, values = self._reader.condition(filter)
        query = (
            f"SELECT id, slot, version, {stored.STORED} FROM {self._rows} "
            f"WHERE id > ? AND ({condition}) ORDER BY id LIMIT ?"
        )
        while True:
            found = self._reader.gathered(query, [after, *values, size])
            if not found.rows:
                return
            if found.damaged:
                self._note(f"{found.damaged} rows are left out: their vectors are damaged.")
            yield [
                stored.row(row[3:], slot[: self.info.dimension])
                for row, slot, is_whole in zip(*found[:3], strict=True)
                if is_whole
            ]
            after = found.rows[-1][0]

    def tagged(self, ids: Sequence[str]) -> dict[str, Tagged]:
        """The path and tags of each of `ids` that is stored."""
        rows: dict[str, Tagged] = {}
        with self._reader.reading() as connection:
            for chunk in chunks(ids, QUERY_IDS):
                query = f"SELECT id, path, facts FROM {self._rows} WHERE id IN ({marks(chunk)})"
                for id, path, facts in connection.execute(query, chunk):
                    rows[id] = _tagged(id, path, facts)
        return rows

    def all_tagged(self, filter: Expression | None = None) -> Iterator[Tagged]:
        """The path and tags of every row, or of those a filter is true of."""
        condition, values = self._reader.condition(filter)
        query = (
            f"SELECT id, path, facts FROM {self._rows} "
            f"WHERE id > ? AND ({condition}) ORDER BY id LIMIT {_GATHERED}"
        )
        after = ""
        while True:
            with self._reader.reading() as connection:
                rows = connection.execute(query, [after, *values]).fetchall()
            for id, path, facts in rows:
                yield _tagged(id, path, facts)
            if len(rows) < _GATHERED:
                return
            after = rows[-1][0]


def _tagged(id: str, path: str, facts: str | None) -> Tagged:
    tags = json.loads(facts).get("tags", ()) if facts and '"tags"' in facts else ()
    return Tagged(id, path, tuple(tags))
