"""The index: a target's collections and their rows, whatever engine keeps them.

`Index` and `Collection` are all that callers know. `index/local/` implements them on SQLite and
memory-mapped files, `index/milvus/` on a Milvus server; `index/connect.py` picks one by the
settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo, Model, Row
from clipstack.index.vector_index import VectorIndex

if TYPE_CHECKING:
    from clipstack.index.filters.syntax import Expression
    from clipstack.index.schema import Matrix, Vector

MAX_LIMIT = 16384
"""The most hits of one search, those left out by its offset included; Milvus' own bound."""


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


class Tagged(NamedTuple):
    """A picture and the user's own tags for it."""

    id: str
    path: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """A collection and what is known of it.

    Attributes:
        rows: those just written included; of a collection released from memory, what the engine
            has counted.
        info: None when clipstack did not make it.
        index: on its vectors; None when it has none yet, or clipstack did not make the collection.
        loaded: whether it is in the server's memory; None where nothing needs to be loaded.
        aliases: its other names.
    """

    name: str
    rows: int
    info: CollectionInfo | None
    index: VectorIndex | None = None
    loaded: bool | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        finished: False when it goes on in the server, as it was not waited for.
        seconds: waited.
        freed: bytes of disk given back, where the engine can say.
        lost: rows that were deleted as their vectors are damaged.
        job: Milvus' number for it, 0 elsewhere.
        merged: segments of Milvus' that went into others; made: those they became.
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

    def prepare(self) -> None:
        """Do ahead what a search needs, beside other work."""
        ...

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of each of `ids`; those not stored are left out."""
        ...

    def vectors_by_digest(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `digests` that has one.

        What was written since the first call may be missing; the caller knows that itself.
        """
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vector, float32 [dimension], of each of `ids` that is stored."""
        ...

    def upsert(self, rows: Sequence[Row], *, new: bool = False) -> None:
        """Write rows, in place of those with the same ids.

        The user's tags of a row that is replaced stay, unless the new row brings tags itself
        (`facts["tags"]`). When this returns, the rows are durable and the next search finds them.

        Args:
            rows: with ids that are all different.
            new: none of them is stored, as far as is known; saves looking for their tags. A row
                that another process wrote meanwhile is still replaced, never doubled.
        """
        ...

    def delete(self, ids: Sequence[str]) -> int:
        """Delete the rows of `ids`; returns how many there were."""
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
            limit: the most hits for each, at least 1.
            offset: the best ones to leave out; limit + offset is at most MAX_LIMIT.
            filter: only rows it is true of.
            params: of the index on the vectors, such as ef; an exact search has none.
        """
        ...

    def count(self, filter: Expression | None = None) -> int:
        """Rows that a filter lets through, those just written included."""
        ...

    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        ...

    def sample(self, count: int, *, rows: int = 0, filter: Expression | None = None) -> Matrix:
        """The vectors, float32 [rows, dimension], of `count` rows, or of all where there are fewer.
        With `rows` there may be a fifth less; on a server what was just written may be missing.

        They are those with the lowest ids. An id is a hash of a path, so they are a random choice
        that has nothing to do with what the pictures show, and the same every time.

        Args:
            rows: how many there are by `count(filter)`, where that is known: less is read.
            filter: only rows it is true of.
        """
        ...

    def row(self, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, dynamic ones too; None where there is none."""
        ...

    def rows(self, *, after: str = "", filter: Expression | None = None) -> Iterator[list[Row]]:
        """All rows with their vectors and facts, in batches of some megabytes, by ascending id.

        Args:
            after: only rows whose id is greater; "" for all.
            filter: only rows it is true of.
        """
        ...

    def tagged(self, ids: Sequence[str]) -> dict[str, Tagged]:
        """The path and tags of each of `ids` that is stored."""
        ...

    def all_tagged(self, filter: Expression | None = None) -> Iterator[Tagged]:
        """The path and tags of every row, or of those a filter is true of."""
        ...

    def set_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Give the rows of these ids these tags, in place of those they have; an empty list takes
        all away. Ids that are not stored are passed over."""
        ...


class Index(AbstractContextManager["Index"], Protocol):
    """The collections of a target, open until `close`.

    Wherever a collection is named, an alias will do, unless the collection itself is changed.

    Attributes:
        where: the file or the server's address.
    """

    where: str

    def close(self) -> None:
        """Let go of the file or the connection."""
        ...

    def names(self) -> list[str]:
        """The names of all collections, sorted, without aliases."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is a collection, or an alias, called `name`."""
        ...

    def list(self) -> list[Described]:
        """Every collection, by name."""
        ...

    def describe(self, name: str) -> Described:
        """One collection.

        Raises:
            NotFoundError: there is none of that name.
        """
        ...

    def info(self, name: str) -> CollectionInfo:
        """What a collection of clipstack's says of itself.

        Raises:
            NotFoundError: there is none of that name.
            ClipstackError: clipstack did not make it.
        """
        ...

    def check_vector_index(self, wanted: VectorIndex) -> VectorIndex:
        """The index on vectors that `create` makes when asked for `wanted`.

        Raises:
            UsageError: the target does not have it.
        """
        ...

    def create(
        self, name: str, model: Model, metric: str, index: VectorIndex | None = None
    ) -> CollectionInfo:
        """Make an empty collection for the vectors of `model`, compared by `metric`.

        Args:
            index: on its vectors; AUTOINDEX by default.

        Raises:
            UsageError: the name is none, or the target does not have that index.
            ClipstackError: the name is taken.
        """
        ...

    def drop(self, name: str) -> int:
        """Delete a collection, and its aliases with it; returns how many rows went.

        Raises:
            NotFoundError: there is none of that name.
            UsageError: it is an alias.
        """
        ...

    def rename(self, old: str, new: str) -> CollectionInfo:
        """Give a collection another name; its rows and aliases stay.

        Raises:
            NotFoundError: there is no `old`.
            UsageError: `old` is an alias, or `new` is no name.
            ClipstackError: `new` is taken.
        """
        ...

    def set_alias(self, name: str, alias: str) -> str:
        """Give a collection another name beside its own, taken from the one that has it now.

        Returns:
            The collection that had the alias before, or "".

        Raises:
            UsageError: `alias` is no name for a collection.
            ClipstackError: there is a collection of that name.
        """
        ...

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away from a collection.

        Raises:
            NotFoundError: it does not have that alias.
        """
        ...

    def load(self, name: str, *, patience: float) -> str:
        """Bring a collection into memory where that is needed; returns its own name.

        Args:
            patience: seconds without any progress after which it is given up.

        Raises:
            ClipstackError: it can't be loaded, or stops on its way.
        """
        ...

    def release(self, name: str) -> str:
        """Take a collection out of memory; its rows stay. Returns its own name.

        Raises:
            UsageError: the target does not load collections.
        """
        ...

    def compact(self, name: str, *, wait: bool) -> Compacted:
        """Give back the space of rows that were replaced or deleted.

        Args:
            wait: until it is done, which may take minutes.
        """
        ...

    def collection(
        self,
        name: str,
        *,
        patience: float = 60.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> Collection:
        """The rows of a collection, ready to be read, searched and written.

        Args:
            patience: as for `load`: one that is released is loaded.
            note: told when that takes a while.

        Raises:
            NotFoundError: there is none of that name.
            ClipstackError: clipstack did not make it, or it can't be loaded.
        """
        ...


def require_same_model(info: CollectionInfo, model: Model) -> None:
    """Refuse a model whose vectors can't be compared with those in the collection.

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
