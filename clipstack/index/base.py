"""The index: the collections of a target and their rows, independent of where they are stored.

Callers use the protocols `Index` and `Collection` only. `index/local/` implements them on SQLite
and memory-mapped files, `index/milvus/` on a Milvus server; `index/connect.py` chooses one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clipstack.errors import ClipstackError
from clipstack.events import SILENT, Events
from clipstack.index.schema import CollectionInfo, Model, Row
from clipstack.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

MAX_LIMIT = 16384
"""Most hits of one search, including those that its offset skips; Milvus' own limit."""


class FileSignature(NamedTuple):
    """What a row stores of its file to tell whether the file has changed."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that a search found.

    Attributes:
        score: the metric's value, as in Milvus (L2 is the squared distance).
        width, height: pixels; size: bytes; taken_at: seconds since the epoch, 0 if unknown.
        facts: dynamic fields: metadata of the picture, and its tags.
        significance: how far its score stands out of what other queries score in the collection,
            in standard deviations; None if the query did not ask for it.
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
    significance: float | None = None


class PictureTags(NamedTuple):
    """A picture and the user's own tags for it."""

    id: str
    path: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A collection as listed.

    Attributes:
        rows: number of rows, including those just written; for a collection released from memory,
            the server's own count.
        info: None if clipstack did not create the collection.
        index: on its vectors; None if it has none yet, or clipstack did not create the collection.
        loaded: whether it is in the server's memory; None if collections need no loading.
        aliases: its other names.
    """

    name: str
    rows: int
    info: CollectionInfo | None
    index: VectorIndex | None = None
    loaded: bool | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """The result of a compaction.

    Attributes:
        finished: False if it continues on the server, as the caller did not wait.
        seconds: how long the caller waited.
        freed: bytes of disk space freed; None if unknown.
        lost: number of rows deleted because their vectors were damaged.
        job: Milvus' number of the job; 0 elsewhere.
        merged: number of Milvus segments that were merged; made: number of segments they became.
    """

    name: str
    finished: bool
    seconds: float
    freed: int | None = None
    lost: int = 0
    job: int = 0
    merged: int = 0
    made: int = 0


class Collection(Protocol):
    """The rows of one collection."""

    info: CollectionInfo

    def require_exists(self) -> None:
        """Check that it is still there, with the rows that were written to it.

        Raises:
            NotFoundError: it was dropped, also if there is another of its name now.
        """
        ...

    def prepare(self) -> None:
        """Prepare for a search in the background."""
        ...

    def file_signatures(self, ids: Sequence[str]) -> dict[str, FileSignature]:
        """The file signature of each of `ids` that is stored."""
        ...

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one.

        Rows written since the first call may be missing; the caller has to keep track of those.
        """
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        ...

    def upsert(self, rows: Sequence[Row], *, new: bool = False) -> None:
        """Write rows, replacing those with the same ids.

        The user's tags of a replaced row stay, unless the new row has tags itself
        (`facts["tags"]`). When this returns, the rows are durable and the next search finds them.

        Args:
            rows: with distinct ids.
            new: none of them is stored, as far as the caller knows; saves a query for their tags. A
                row that another process wrote meanwhile is still replaced, never duplicated.
        """
        ...

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows with these ids; returns how many it deleted."""
        ...

    def search(
        self,
        vectors: Matrix,
        *,
        limit: int,
        offset: int = 0,
        filter: Expression | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[list[Hit]]:
        """The rows nearest to each of `vectors` by the collection's metric, best first.

        Args:
            vectors: float32 [queries, dimension], not normalised.
            limit: most hits per query, at least 1.
            offset: number of best hits to skip; limit + offset is at most MAX_LIMIT.
            filter: that the rows match.
            params: of the index on the vectors, such as ef; an exact search has none.
        """
        ...

    def count(self, filter: Expression | None = None) -> int:
        """Number of rows that match a filter, including those just written."""
        ...

    def is_empty(self) -> bool:
        """Whether the collection has no rows."""
        ...

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors, float32 [rows, dimension], of `count` rows, or of all if there are fewer.

        With `rows`, the result may have a fifth fewer; on a server, rows just written may be
        missing. The rows are those with the lowest ids: as an id is a hash of a path, they are a
        random sample that does not depend on what the pictures show, and the same every time.

        Args:
            rows: `count(filter)`, if known; saves reading.
            filter: that the rows match.
        """
        ...

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None if it is not stored."""
        ...

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches of some megabytes, by ascending id.

        Args:
            after: only rows with a greater id; "" for all.
            filter: that the rows match.
        """
        ...

    def picture_tags(self, ids: Sequence[str]) -> dict[str, PictureTags]:
        """The path and tags of each of `ids` that is stored."""
        ...

    def all_picture_tags(self, filter: Expression | None = None) -> Iterator[PictureTags]:
        """The path and tags of every row, or of those that match a filter."""
        ...

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Replace the tags of rows, given by id; an empty list removes all. Ids that are not stored
        are ignored."""
        ...


class Index(AbstractContextManager["Index"], Protocol):
    """The collections of a target, open until `close`.

    Methods accept an alias in place of a collection's name, except to change the collection itself.

    Attributes:
        location: path of the file, or the server's address.
    """

    location: str

    def close(self) -> None:
        """Close the files or the connection."""
        ...

    def names(self) -> list[str]:
        """The names of all collections, sorted, without aliases."""
        ...

    def exists(self, name: str) -> bool:
        """Whether a collection or an alias has that name."""
        ...

    def list(self) -> list[CollectionSummary]:
        """Every collection, by name."""
        ...

    def describe(self, name: str) -> CollectionSummary:
        """One collection.

        Raises:
            NotFoundError: it does not exist.
        """
        ...

    def info(self, name: str) -> CollectionInfo:
        """The description of a collection: its model, dimension and metric.

        Raises:
            NotFoundError: it does not exist.
            ClipstackError: clipstack did not create it.
        """
        ...

    def resolve_vector_index(self, requested: VectorIndex) -> VectorIndex:
        """The index on vectors that `create` makes for the requested one.

        Raises:
            UsageError: the target does not support it.
        """
        ...

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Create an empty collection for the vectors of `model`, compared by `metric`.

        Args:
            index: on its vectors; AUTOINDEX by default.

        Raises:
            UsageError: the name is invalid, or the target does not support that index.
            ClipstackError: the name is taken.
        """
        ...

    def drop(self, name: str) -> int:
        """Delete a collection and its aliases; returns how many rows it had.

        Raises:
            NotFoundError: it does not exist.
            UsageError: `name` is an alias.
        """
        ...

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Rename a collection; its rows and aliases stay.

        Raises:
            NotFoundError: `old` does not exist.
            UsageError: `old` is an alias, or `new` is invalid.
            ClipstackError: `new` is taken.
        """
        ...

    def set_alias(self, name: str, alias: str) -> str:
        """Point an alias at a collection, even if another collection has it.

        Returns:
            The collection that had the alias before, or "".

        Raises:
            UsageError: `alias` is not a valid name.
            ClipstackError: a collection has that name.
        """
        ...

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias from a collection.

        Raises:
            NotFoundError: it does not have that alias.
        """
        ...

    def load(self, name: str, *, patience: float) -> str:
        """Load a collection into memory if the target needs that; returns its own name.

        Args:
            patience: seconds without progress after which it gives up.

        Raises:
            ClipstackError: it can't be loaded, or makes no progress.
        """
        ...

    def release(self, name: str) -> str:
        """Release a collection from memory; its rows stay. Returns its own name.

        Raises:
            UsageError: the target does not load collections.
        """
        ...

    def compact(self, name: str, *, wait: bool) -> CompactionResult:
        """Free the space of rows that were replaced or deleted.

        Args:
            wait: for the end, which may take minutes.
        """
        ...

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,
        events: Events = SILENT,
    ) -> Collection:
        """The rows of a collection, ready to be read, searched and written.

        Args:
            patience: as for `load`; a released collection is loaded.
            events: reports a load that takes a while.

        Raises:
            NotFoundError: it does not exist.
            ClipstackError: clipstack did not create it, or it can't be loaded.
        """
        ...


def require_same_model(info: CollectionInfo, model: Model) -> None:
    """Refuse a model whose vectors can't be compared with those in a collection.

    Raises:
        ClipstackError: the fingerprints differ.
    """
    if info.fingerprint == model.fingerprint:
        return
    again = f"`clipstack collections drop {info.name}` and import again"
    if info.model == model.name:
        raise ClipstackError(
            f"collection {info.name!r} holds vectors of {info.model!r} with other weights or "
            "preprocessing than that model has now",
            hint=f"Import into another collection with --collection NAME, or {again}. If it was "
            "imported as int8, it needs that int8, from the machine that made it.",
        )
    raise ClipstackError(
        f"collection {info.name!r} holds vectors of the model {info.model!r}, "
        f"not of {model.name!r}",
        hint=f"Use --model {info.model}, or another collection with --collection NAME, or {again}.",
    )
