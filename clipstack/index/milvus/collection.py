"""The rows of one collection on a Milvus server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError
from clipstack.index.base import MAX_LIMIT, Hit, Known, Tagged
from clipstack.index.batches import chunks
from clipstack.index.filters.to_milvus import literal, to_milvus
from clipstack.index.keywords import shown, with_words
from clipstack.index.milvus import index_types, schema
from clipstack.index.milvus.client import Client
from clipstack.index.schema import MAX_PATH_BYTES, CollectionInfo, Row, id_bound

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

_QUERY_IDS = 1000
_QUERY_DIGESTS = 500
# Rows of one answer to several searches: about 32 MiB.
_ANSWER_ROWS = 32768


class MilvusCollection:
    """A collection on a server.

    Milvus reads with strong consistency: what was written before a call began is seen by it.

    Args:
        client: of the open connection.
        info: of the collection, which exists and is loaded.
    """

    def __init__(self, client: Client, info: CollectionInfo) -> None:
        self._client = client
        self.info = info
        self._asked = False

    def prepare(self) -> None:
        """Nothing: a loaded collection is in the server's memory."""

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of each of `ids`; those not stored are left out."""
        entities = self._entities(ids, ["size", "mtime_ns", "digest"])
        return {
            entity["id"]: Known(entity["size"], entity["mtime_ns"], entity["digest"])
            for entity in entities
        }

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one.

        What was written since the first call may be missing: a server reads the latest state only
        every 200 ms, and the caller knows what it has written itself.
        """
        import numpy as np

        ids: dict[str, str] = {}
        for chunk in chunks(sorted(set(digests)), _QUERY_DIGESTS):
            ids.update(self._ids_by_digest(chunk))
        entities = self._entities(
            list(ids.values()), ["digest", "vector"], consistency_level="Bounded"
        )
        return {entity["digest"]: np.asarray(entity["vector"], np.float32) for entity in entities}

    def _ids_by_digest(self, digests: Sequence[str]) -> dict[str, str]:
        """The id of one row for each digest; thousands of rows may have the same."""
        entities = self._client.query(
            self.info.name,
            filter=f"digest in [{', '.join(map(literal, digests))}]",
            output_fields=["id", "digest"],
            limit=MAX_LIMIT,
            consistency_level="Bounded" if self._asked else "Strong",
        )
        self._asked = True
        ids = {entity["digest"]: entity["id"] for entity in entities}
        if len(entities) == MAX_LIMIT and len(digests) > 1:
            half = len(digests) // 2
            ids |= self._ids_by_digest(digests[:half]) | self._ids_by_digest(digests[half:])
        return ids

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        import numpy as np

        entities = self._entities(ids, ["vector"])
        return {entity["id"]: np.asarray(entity["vector"], np.float32) for entity in entities}

    def _entities(
        self, ids: Sequence[str], fields: list[str], *, consistency_level: str = "Strong"
    ) -> Iterator[dict[str, Any]]:
        size = _QUERY_IDS
        if "vector" in fields or "*" in fields:
            facts = "*" in fields
            size = min(size, schema.rows_per_message(self.info.dimension, facts=facts))
        for chunk in chunks(ids, size):
            yield from map(
                dict,
                self._client.get(
                    self.info.name,
                    ids=chunk,
                    output_fields=fields,
                    consistency_level=consistency_level,
                ),
            )

    def upsert(self, rows: Sequence[Row], *, new: bool = False) -> None:
        """Write rows, in place of those with the same ids, whose tags stay.

        New rows are upserted too: pymilvus repeats an insert whose answer was lost, and two imports
        may run at once. For 200,000 rows in large messages that is 7 % slower than an insert.
        """
        for row in rows:
            if len(row.path.encode()) > MAX_PATH_BYTES:
                raise ClipstackError(
                    f"{row.path[:200]}...: a path of more than {MAX_PATH_BYTES} bytes, which "
                    "Milvus does not take"
                )
        for chunk in chunks(rows, _QUERY_IDS):
            kept = chunk if new else self._with_tags(chunk)
            for message in schema.messages(kept):
                self._client.upsert(self.info.name, message)

    def _with_tags(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with the tags of those they replace, unless they bring their own."""
        bare = [row.id for row in rows if "tags" not in row.facts]
        tags = {id: tagged.tags for id, tagged in self.tagged(bare).items() if tagged.tags}
        return [
            dataclasses.replace(row, facts=row.facts | {"tags": list(tags[row.id])})
            if row.id in tags
            else row
            for row in rows
        ]

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows of `ids`; returns how many there were."""
        deleted = 0
        for chunk in chunks(list(dict.fromkeys(ids)), _QUERY_IDS):
            stored = [entity["id"] for entity in self._entities(chunk, ["id"])]
            if stored:
                self._client.delete(self.info.name, ids=stored)
            deleted += len(stored)
        return deleted

    def search(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        filter: Expression | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first."""
        given = index_types.for_search(params or {}, limit + offset)
        hits: list[list[Hit]] = []
        for queries in chunks(vectors.tolist(), max(1, _ANSWER_ROWS // limit)):
            answers = self._client.search(
                self.info.name,
                data=queries,
                anns_field="vector",
                search_params={"metric_type": self.info.metric, "params": given},
                limit=limit,
                offset=offset,
                filter=_text(filter),
                output_fields=[*schema.HIT_FIELDS, "$meta"],
                consistency_level="Strong",
            )
            hits += [
                [schema.hit({"id": hit["id"], **hit["entity"]}, hit["distance"]) for hit in answer]
                for answer in answers
            ]
        return hits

    def count(self, filter: Expression | None = None) -> int:
        """Rows that a filter lets through, those just written included."""
        return count(self._client, self.info.name, _text(filter))

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        return not self.count()

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors of `count` rows, those with the lowest ids; somewhat fewer where `rows` is
        given."""
        import numpy as np

        parts = [f"({_text(filter)})"] if filter else []
        if rows > count:  # a little more than enough of the ids
            share = min(1.0, 1.2 * count / rows)
            parts.append(f"id < {literal(id_bound(share))}")
        entities = self._client.query(
            self.info.name,
            filter=" and ".join(parts),
            output_fields=["vector"],
            limit=count,
            consistency_level="Bounded",
        )
        vectors = [entity["vector"] for entity in entities]
        return np.asarray(vectors, np.float32).reshape(len(vectors), self.info.dimension)

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None where there is none."""
        entities = self._client.query(
            self.info.name,
            filter=f"id == {literal(id)}",
            output_fields=[*schema.ROW_FIELDS, "$meta"],
            limit=1,
            consistency_level="Strong",
        )
        return shown(entities[0]) if entities else None

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches, by ascending id."""
        size = schema.rows_per_message(self.info.dimension)
        for entities in self._pages(after, filter, ["*"], min(_QUERY_IDS, size)):
            yield [schema.row(entity) for entity in entities]

    def _pages(
        self, after: str, filter: Expression | None, fields: list[str], size: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Entities by ascending id: Milvus answers a query with a limit by primary key."""
        while True:
            parts = [f"id > {literal(after)}", *([f"({_text(filter)})"] if filter else [])]
            entities = self._client.query(
                self.info.name,
                filter=" and ".join(parts),
                output_fields=["id", *fields],
                limit=size,
                consistency_level="Strong",
                reduce_stop_for_best=True,  # the lowest ids of all segments, not any
            )
            page = sorted(map(dict, entities), key=lambda entity: str(entity["id"]))
            if not page:
                return
            yield page
            after = page[-1]["id"]

    def tagged(self, ids: Sequence[str]) -> dict[str, Tagged]:
        """The path and tags of each of `ids` that is stored."""
        return {entity["id"]: _tagged(entity) for entity in self._entities(ids, ["path", "tags"])}

    def all_tagged(self, filter: Expression | None = None) -> Iterator[Tagged]:
        """The path and tags of every row, or of those a filter is true of."""
        for entities in self._pages("", filter, ["path", "tags"], _QUERY_IDS):
            yield from map(_tagged, entities)

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Give the rows of these ids these tags, in place of those they have.

        Milvus 2.3 changes no part of a row: it is read whole, with its vector, and written again.
        """
        size = schema.rows_per_message(self.info.dimension)
        for chunk in chunks(list(tags), min(_QUERY_IDS, size)):
            changed = []
            for entity in self._entities(chunk, ["*"]):
                entity.pop("tags", None)
                own = list(tags[entity["id"]])
                changed.append(with_words(entity | ({"tags": own} if own else {})))
            if changed:
                self._client.upsert(self.info.name, changed)


def count(client: Client, name: str, filter: str = "") -> int:
    """Rows of a collection, or those a Milvus filter lets through; just written ones included."""
    answer = client.query(
        name, filter=filter, output_fields=["count(*)"], consistency_level="Strong"
    )
    return int(answer[0]["count(*)"])


def _text(filter: Expression | None) -> str:
    return to_milvus(filter) if filter else ""


def _tagged(entity: Mapping[str, Any]) -> Tagged:
    return Tagged(entity["id"], entity["path"], tuple(entity.get("tags") or ()))
