"""A collection on a Milvus server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError
from clipstack.index import naming
from clipstack.index.base import MAX_LIMIT, FileSignature, Hit, PictureTags
from clipstack.index.batches import chunks
from clipstack.index.derived_fields import with_derived_fields, without_derived_fields
from clipstack.index.filters.to_milvus import literal, to_milvus
from clipstack.index.milvus import index_params, schema
from clipstack.index.milvus.client import Client
from clipstack.index.schema import MAX_PATH_BYTES, CollectionInfo, Row, id_bound

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

_QUERY_IDS = 1000
_QUERY_DIGESTS = 500
# Most rows in one response to several queries: about 32 MiB.
_RESPONSE_ROWS = 32768


class MilvusCollection:
    """A collection on a Milvus server.

    Reads are strongly consistent: a call sees everything that was written before it began.

    Args:
        client: of an open connection.
        info: of the collection, which exists and is loaded.
        id: Milvus' own, which another collection of the same name does not have.
    """

    def __init__(self, client: Client, info: CollectionInfo, id: int) -> None:
        self._client = client
        self.info = info
        self._id = id
        self._has_queried = False

    def require_exists(self) -> None:
        """Check that it was not dropped, also not to be made anew by the same name."""
        if self._client.describe_collection(self.info.name)["collection_id"] != self._id:
            raise naming.dropped_error()

    def prepare(self) -> None:
        """Do nothing: a loaded collection is in the server's memory."""

    def file_signatures(self, ids: Sequence[str]) -> dict[str, FileSignature]:
        """The file signature of each of `ids` that is stored."""
        entities = self._fetch(ids, ["size", "mtime_ns", "digest"])
        return {
            entity["id"]: FileSignature(entity["size"], entity["mtime_ns"], entity["digest"])
            for entity in entities
        }

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one.

        Rows written since the first call may be missing: waiting for the latest state takes 200 ms,
        and the caller keeps track of its own rows.
        """
        import numpy as np

        ids: dict[str, str] = {}
        for chunk in chunks(sorted(set(digests)), _QUERY_DIGESTS):
            ids.update(self._ids_by_digest(chunk))
        entities = self._fetch(
            list(ids.values()), ["digest", "vector"], consistency_level="Bounded"
        )
        return {entity["digest"]: np.asarray(entity["vector"], np.float32) for entity in entities}

    def _ids_by_digest(self, digests: Sequence[str]) -> dict[str, str]:
        """The id of one row per digest; thousands of rows may have the same digest."""
        entities = self._client.query(
            self.info.name,
            filter=f"digest in [{', '.join(map(literal, digests))}]",
            output_fields=["id", "digest"],
            limit=MAX_LIMIT,
            consistency_level="Bounded" if self._has_queried else "Strong",
        )
        self._has_queried = True
        ids = {entity["digest"]: entity["id"] for entity in entities}
        if len(entities) == MAX_LIMIT and len(digests) > 1:
            middle = len(digests) // 2
            ids |= self._ids_by_digest(digests[:middle]) | self._ids_by_digest(digests[middle:])
        return ids

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        import numpy as np

        entities = self._fetch(ids, ["vector"])
        return {entity["id"]: np.asarray(entity["vector"], np.float32) for entity in entities}

    def _fetch(
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
        """Write rows, replacing those with the same ids, whose tags stay.

        New rows are upserted too: an insert whose response was lost may be repeated, and two
        imports may run at once. For 200,000 rows in large messages, an upsert is 7 % slower than an
        insert.
        """
        for row in rows:
            if len(row.path.encode()) > MAX_PATH_BYTES:
                raise ClipstackError(
                    f"{row.path[:200]}...: a path of more than {MAX_PATH_BYTES} bytes, which "
                    "Milvus does not take"
                )
        for chunk in chunks(rows, _QUERY_IDS):
            rows_to_write = chunk if new else self._with_tags(chunk)
            for message in schema.messages(rows_to_write):
                self._client.upsert(self.info.name, message)

    def _with_tags(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with the tags of those they replace, unless they have tags themselves."""
        untagged = [row.id for row in rows if "tags" not in row.facts]
        tags = {
            id: picture_tags.tags
            for id, picture_tags in self.picture_tags(untagged).items()
            if picture_tags.tags
        }
        return [
            dataclasses.replace(row, facts=row.facts | {"tags": list(tags[row.id])})
            if row.id in tags
            else row
            for row in rows
        ]

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows with these ids; returns how many it deleted."""
        deleted = 0
        for chunk in chunks(list(dict.fromkeys(ids)), _QUERY_IDS):
            stored = [entity["id"] for entity in self._fetch(chunk, ["id"])]
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
        index_search_params = index_params.search_params(params or {}, limit + offset)
        hits: list[list[Hit]] = []
        for queries in chunks(vectors.tolist(), max(1, _RESPONSE_ROWS // limit)):
            responses = self._client.search(
                self.info.name,
                data=queries,
                anns_field="vector",
                search_params={"metric_type": self.info.metric, "params": index_search_params},
                limit=limit,
                offset=offset,
                filter=_filter_text(filter),
                output_fields=[*schema.HIT_FIELDS, "$meta"],
                consistency_level="Strong",
            )
            hits += [
                [
                    schema.to_hit({"id": hit["id"], **hit["entity"]}, hit["distance"])
                    for hit in query_hits
                ]
                for query_hits in responses
            ]
        return hits

    def count(self, filter: Expression | None = None) -> int:
        """Number of rows that match a filter, including those just written."""
        return count(self._client, self.info.name, _filter_text(filter))

    def is_empty(self) -> bool:
        """Whether the collection has no rows."""
        return not self.count()

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors of the `count` rows with the lowest ids; fewer if `rows` is given."""
        import numpy as np

        parts = [f"({_filter_text(filter)})"] if filter else []
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
        """Every field of a row but its vector, dynamic ones too; None if it is not stored."""
        entities = self._client.query(
            self.info.name,
            filter=f"id == {literal(id)}",
            output_fields=[*schema.ROW_FIELDS, "$meta"],
            limit=1,
            consistency_level="Strong",
        )
        return without_derived_fields(entities[0]) if entities else None

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches, by ascending id."""
        size = schema.rows_per_message(self.info.dimension)
        for entities in self._batches(after, filter, ["*"], min(_QUERY_IDS, size)):
            yield [schema.to_row(entity) for entity in entities]

    def _batches(
        self, after: str, filter: Expression | None, fields: list[str], size: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Entities by ascending id: Milvus orders the result of a limited query by primary key."""
        while True:
            parts = [f"id > {literal(after)}", *([f"({_filter_text(filter)})"] if filter else [])]
            entities = self._client.query(
                self.info.name,
                filter=" and ".join(parts),
                output_fields=["id", *fields],
                limit=size,
                consistency_level="Strong",
                reduce_stop_for_best=True,  # the lowest ids of all segments, not just any
            )
            batch = sorted(map(dict, entities), key=lambda entity: str(entity["id"]))
            if not batch:
                return
            yield batch
            after = batch[-1]["id"]

    def picture_tags(self, ids: Sequence[str]) -> dict[str, PictureTags]:
        """The path and tags of each of `ids` that is stored."""
        return {
            entity["id"]: _to_picture_tags(entity) for entity in self._fetch(ids, ["path", "tags"])
        }

    def all_picture_tags(self, filter: Expression | None = None) -> Iterator[PictureTags]:
        """The path and tags of every row, or of those that match a filter."""
        for entities in self._batches("", filter, ["path", "tags"], _QUERY_IDS):
            yield from map(_to_picture_tags, entities)

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Replace the tags of rows, given by id.

        Milvus 2.3 can't update single fields: rows are read, with their vectors, and written again.
        """
        size = schema.rows_per_message(self.info.dimension)
        for chunk in chunks(list(tags), min(_QUERY_IDS, size)):
            changed = []
            for entity in self._fetch(chunk, ["*"]):
                entity.pop("tags", None)
                new_tags = list(tags[entity["id"]])
                changed.append(
                    with_derived_fields(entity | ({"tags": new_tags} if new_tags else {}))
                )
            if changed:
                self._client.upsert(self.info.name, changed)


def count(client: Client, name: str, filter: str = "") -> int:
    """Number of rows that match a Milvus filter, or of all; including those just written."""
    response = client.query(
        name, filter=filter, output_fields=["count(*)"], consistency_level="Strong"
    )
    return int(response[0]["count(*)"])


def _filter_text(filter: Expression | None) -> str:
    return to_milvus(filter) if filter else ""


def _to_picture_tags(entity: Mapping[str, Any]) -> PictureTags:
    return PictureTags(entity["id"], entity["path"], tuple(entity.get("tags") or ()))
