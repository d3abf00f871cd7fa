"""Rows and query vectors in; what is known of files, and search hits, out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from clipstack.errors import UsageError
from clipstack.index import collections, indexes
from clipstack.index.schema import FACTS, CollectionInfo, Row
from clipstack.index.words import shown

if TYPE_CHECKING:
    from clipstack.index.client import Client
    from clipstack.index.schema import Matrix, Vector

_T = TypeVar("_T")
# Milvus' bound on the rows of one answer.
MAX_LIMIT = 16384
_QUERY_IDS = 1000
_QUERY_DIGESTS = 500
# Milvus takes messages of 64 MiB; smaller ones cost no time and less memory on both sides.
MESSAGE_BYTES = 4 * 2**20
_ROW_BYTES = 300
_FACTS_BYTES = 2000
# Rows of one answer to several searches: about 32 MiB.
_ANSWER_ROWS = 32768
_ROW_FIELDS = ["id", *FACTS, "imported_at"]
_HIT_FIELDS = ["path", "width", "height", "format", "size", "taken_at"]


class Known(NamedTuple):
    """What the collection remembers of a file: enough to tell whether it changed."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One row a search found.

    Attributes:
        score: the metric's value, as Milvus gives it (L2 is the squared distance).
        width, height: pixels; size: bytes; taken_at: seconds since the epoch, 0 when unknown.
        facts: dynamic fields: what else the picture says of itself, and its tags.
        stands_out: how far its score is from what the collection gives for the query, where a
            cut-off was asked for.
    """

    id: str
    score: float
    path: str
    width: int
    height: int
    format: str
    size: int
    taken_at: int
    facts: dict[str, Any] = field(default_factory=dict)
    stands_out: float | None = None


class Store:
    """The rows of one collection.

    Args:
        client: of the open database.
        info: of the collection, which exists.
    """

    def __init__(self, client: Client, info: CollectionInfo) -> None:
        self._client = client
        self.info = info
        self._asked = False

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of each of `ids`; those not stored are left out."""
        found: dict[str, Known] = {}
        for chunk in _chunks(ids, _QUERY_IDS):
            rows = self._client.get(
                self.info.name,
                ids=chunk,
                output_fields=["size", "mtime_ns", "digest"],
                consistency_level="Strong",
            )
            found.update(
                (row["id"], Known(row["size"], row["mtime_ns"], row["digest"])) for row in rows
            )
        return found

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one.

        What was written since the first call may be missing: a server reads the latest state only
        every 200 ms, and the caller knows what it has written itself.
        """
        import numpy as np

        ids: dict[str, str] = {}
        for chunk in _chunks(sorted(set(digests)), _QUERY_DIGESTS):
            ids.update(self._ids_by_digest(chunk))
        found: dict[str, Vector] = {}
        vectors = max(1, MESSAGE_BYTES // (4 * self.info.dimension + _ROW_BYTES))
        for chunk in _chunks(list(ids.values()), min(_QUERY_IDS, vectors)):
            rows = self._client.get(
                self.info.name,
                ids=chunk,
                output_fields=["digest", "vector"],
                consistency_level="Bounded",
            )
            found.update((row["digest"], np.asarray(row["vector"], np.float32)) for row in rows)
        return found

    def _ids_by_digest(self, digests: Sequence[str]) -> dict[str, str]:
        """The id of one row for each digest; thousands of rows may have the same."""
        rows = self._client.query(
            self.info.name,
            filter=f"digest in [{', '.join(map(literal, digests))}]",
            output_fields=["id", "digest"],
            limit=MAX_LIMIT,
            consistency_level="Bounded" if self._asked else "Strong",
        )
        self._asked = True
        found = {row["digest"]: row["id"] for row in rows}
        if len(rows) == MAX_LIMIT and len(digests) > 1:
            half = len(digests) // 2
            found |= self._ids_by_digest(digests[:half]) | self._ids_by_digest(digests[half:])
        return found

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows whose ids are not stored yet.

        An insert does not look for rows with the same id. One whose answer was lost is repeated,
        and two imports may run at once, so a server gets an upsert: for 200,000 rows in large
        messages 7 % slower there. Milvus Lite is one process's alone, and five times faster at
        inserts.
        """
        write = self._client.insert if self._client.embedded else self._client.upsert
        for message in _messages(rows):
            write(self.info.name, message)

    def replace(self, rows: Sequence[Row]) -> None:
        """Write rows in place of those with the same ids, whose own tags stay."""
        for chunk in _chunks(rows, _QUERY_IDS):
            kept = self._tags([row.id for row in chunk])
            tagged = [
                dataclasses.replace(row, facts=row.facts | kept[row.id]) if row.id in kept else row
                for row in chunk
            ]
            for message in _messages(tagged):
                self._client.upsert(self.info.name, message)

    def _tags(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        rows = self._client.get(
            self.info.name, ids=list(ids), output_fields=["tags"], consistency_level="Strong"
        )
        return {row["id"]: {"tags": row["tags"]} for row in rows if row.get("tags")}

    def search(
        self,
        vector: Vector,
        *,
        limit: int,
        offset: int = 0,
        expression: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> list[Hit]:
        """The rows nearest to `vector`, float32 [dimension]; else as `search_all`."""
        return self.search_all(
            vector[None], limit=limit, offset=offset, expression=expression, params=params
        )[0]

    def search_all(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        expression: str = "",
        params: Mapping[str, Any] | None = None,
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors`, best first.

        Args:
            vectors: float32 [queries, dimension], not normalised.
            limit: the most hits for each, at least 1.
            offset: the best ones to leave out; limit + offset is at most MAX_LIMIT.
            expression: a Milvus filter; only rows it is true of.
            params: of the index, such as ef.
        """
        given = indexes.for_search(params or {}, limit + offset)
        found: list[list[Hit]] = []
        for some in _chunks(vectors.tolist(), max(1, _ANSWER_ROWS // limit)):
            answers = self._client.search(
                self.info.name,
                data=some,
                anns_field="vector",
                search_params={"metric_type": self.info.metric, "params": given},
                limit=limit,
                offset=offset,
                filter=expression,
                output_fields=[*_HIT_FIELDS, "$meta"],
                consistency_level="Strong",
            )
            found += [
                [hit({"id": one["id"], **one["entity"]}, one["distance"]) for one in answer]
                for answer in answers
            ]
        return found

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        import numpy as np

        found: dict[str, Vector] = {}
        size = max(1, MESSAGE_BYTES // (4 * self.info.dimension + _ROW_BYTES))
        for chunk in _chunks(ids, min(_QUERY_IDS, size)):
            rows = self._client.get(
                self.info.name, ids=chunk, output_fields=["vector"], consistency_level="Strong"
            )
            found.update((row["id"], np.asarray(row["vector"], np.float32)) for row in rows)
        return found

    def count(self, expression: str = "") -> int:
        """Rows that a Milvus filter lets through, those just written included."""
        return collections.count(self._client, self.info.name, expression)

    def sample(self, count: int, *, rows: int = 0, expression: str = "") -> Matrix:
        """The vectors, float32 [rows, dimension], of `count` rows, or of all where there are fewer.

        They are those with the lowest ids. An id is a hash of a path, so they are a random choice
        that has nothing to do with what the pictures show, and the same every time.

        Args:
            rows: how many there are by `count(expression)`, where that is known: fewer are read.
            expression: a Milvus filter; only rows it is true of.
        """
        import numpy as np

        parts = [f"({expression})"] if expression else []
        if rows > count:  # a little more than enough of the ids
            share = min(1.0, 1.2 * count / rows)
            parts.append(f'id < "{min(int(share * 2**32), 2**32 - 1):08x}"')
        found = self._client.query(
            self.info.name,
            filter=" and ".join(parts),
            output_fields=["vector"],
            limit=count,
            consistency_level="Bounded",
        )
        vectors = [row["vector"] for row in found]
        return np.asarray(vectors, np.float32).reshape(len(vectors), self.info.dimension)

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None where there is none."""
        rows = self._client.query(
            self.info.name,
            filter=f"id == {literal(id)}",
            output_fields=[*_ROW_FIELDS, "$meta"],
            limit=1,
            consistency_level="Strong",
        )
        return shown(rows[0]) if rows else None

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        return not self.count()


def hit(entity: Mapping[str, Any], score: float) -> Hit:
    """A found row's fields as a hit; those a hit has no name for are its facts."""
    facts = {name: value for name, value in entity.items() if name not in _ROW_FIELDS}
    known = {name: entity[name] for name in ("id", *_HIT_FIELDS)}
    return Hit(**known, score=score, facts=shown(facts))


def _messages(rows: Sequence[Row]) -> Iterator[list[dict[str, Any]]]:
    """`rows` in parts that are no larger than a message should be."""
    message: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        more = row.vector.nbytes + len(row.path.encode()) + _ROW_BYTES
        more += _FACTS_BYTES if row.facts else 0
        if message and size + more > MESSAGE_BYTES:
            yield message
            message, size = [], 0
        message.append(row.to_entity())
        size += more
    if message:
        yield message


def literal(text: str) -> str:
    """`text` as a string of a Milvus filter expression."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def under_filter(folder: str) -> str:
    """A filter for the paths below `folder` (absolute): a range of names, as `like` would read
    % and _ in the folder's own name as wildcards.

    Raises:
        UsageError: the name holds control characters, which Milvus' filters can't.
    """
    if any(ord(char) < 32 for char in folder):
        raise UsageError(f"--under {folder!r}: a filter can't hold control characters")
    prefix = folder.rstrip("/")
    return f"path >= {literal(prefix + '/')} and path < {literal(prefix + '0')}"  # "0" follows "/"


def _chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
