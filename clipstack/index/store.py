"""Rows and query vectors in; what is known of files, and search hits, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from clipstack.errors import UsageError
from clipstack.index import indexes
from clipstack.index.schema import CollectionInfo, Row

if TYPE_CHECKING:
    from clipstack.index.client import Client
    from clipstack.index.schema import Vector

# Milvus' bound on the rows of one answer.
MAX_LIMIT = 16384
_QUERY_IDS = 1000
_QUERY_DIGESTS = 500
# Milvus takes messages of 64 MiB; smaller ones cost no time and less memory on both sides.
MESSAGE_BYTES = 4 * 2**20
_ROW_BYTES = 300
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
    """

    id: str
    score: float
    path: str
    width: int
    height: int
    format: str
    size: int
    taken_at: int


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
        """Write rows in place of those with the same ids."""
        for message in _messages(rows):
            self._client.upsert(self.info.name, message)

    def search(
        self,
        vector: Vector,
        *,
        limit: int,
        expression: str = "",
        min_score: float | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[Hit]:
        """The rows nearest to `vector`, best first.

        Args:
            vector: float32 [dimension], not normalised.
            limit: the most hits, 1 to MAX_LIMIT.
            expression: a Milvus filter; only rows it is true of.
            min_score: leave out what is worse: lower scores, or for L2 greater distances.
            params: of the index, such as ef.
        """
        given = indexes.for_search(params or {}, limit)
        found = self._client.search(
            self.info.name,
            data=[vector.tolist()],
            anns_field="vector",
            search_params={"metric_type": self.info.metric, "params": given},
            limit=limit,
            filter=expression,
            output_fields=_HIT_FIELDS,
            consistency_level="Strong",
        )[0]
        hits = [Hit(id=hit["id"], score=hit["distance"], **hit["entity"]) for hit in found]
        if min_score is None:
            return hits
        if self.info.metric == "L2":
            return [hit for hit in hits if hit.score <= min_score]
        return [hit for hit in hits if hit.score >= min_score]


def _messages(rows: Sequence[Row]) -> Iterator[list[dict[str, Any]]]:
    """`rows` in parts that are no larger than a message should be."""
    message: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        more = row.vector.nbytes + len(row.path.encode()) + _ROW_BYTES
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


def _chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
