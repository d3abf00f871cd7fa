"""Rows and query vectors in; what is known of files, and search hits, out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from clipstack.errors import UsageError
from clipstack.index.schema import CollectionInfo, Row

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from clipstack.index.schema import Vector

# Milvus' bound on the rows of one answer.
MAX_LIMIT = 16384
_QUERY_IDS = 1000
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
        client: a connected MilvusClient.
        info: of the collection, which exists.
    """

    def __init__(self, client: MilvusClient, info: CollectionInfo) -> None:
        self._client = client
        self.info = info

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
        """The stored vector, float32 [dimension], of each of `digests` that has one."""
        import numpy as np

        found: dict[str, Vector] = {}
        for chunk in _chunks(sorted(set(digests)), _QUERY_IDS):
            rows = self._client.query(
                self.info.name,
                filter=f"digest in [{', '.join(map(literal, chunk))}]",
                output_fields=["digest", "vector"],
                limit=MAX_LIMIT,
                consistency_level="Strong",
            )
            found.update((row["digest"], np.asarray(row["vector"], np.float32)) for row in rows)
        return found

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows whose ids are not stored yet; on Milvus Lite five times faster than upsert."""
        if rows:
            self._client.insert(self.info.name, [row.to_entity() for row in rows])

    def replace(self, rows: Sequence[Row]) -> None:
        """Write rows in place of those with the same ids."""
        if rows:
            self._client.upsert(self.info.name, [row.to_entity() for row in rows])

    def search(
        self,
        vector: Vector,
        *,
        limit: int,
        under: str | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        """The rows nearest to `vector`, best first.

        Args:
            vector: float32 [dimension], not normalised.
            limit: the most hits, 1 to MAX_LIMIT.
            under: an absolute folder; only pictures in it or below.
            min_score: leave out what is worse: lower scores, or for L2 greater distances.

        """
        found = self._client.search(
            self.info.name,
            data=[vector.tolist()],
            anns_field="vector",
            search_params={"metric_type": self.info.metric},
            limit=limit,
            filter=under_filter(under) if under else "",
            output_fields=_HIT_FIELDS,
            consistency_level="Strong",
        )[0]
        hits = [Hit(id=hit["id"], score=hit["distance"], **hit["entity"]) for hit in found]
        if min_score is None:
            return hits
        if self.info.metric == "L2":
            return [hit for hit in hits if hit.score <= min_score]
        return [hit for hit in hits if hit.score >= min_score]


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
