"""The format of exchange files: their columns, and the description of the rows' collection.

docs/exchange.md documents it; names and types of columns must not change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo, Row
from clipstack.settings import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clipstack.index.schema import Matrix

VERSION = 1
METADATA = "clipstack"
"""The metadata key of a Parquet file, and the array of an npz file, with the description."""
TEXTS = ("id", "path", "digest", "format")
INTEGERS = ("size", "mtime_ns", "width", "height", "taken_at", "imported_at")
ORDER = (
    *("id", "path", "digest", "size", "mtime_ns", "width", "height", "format"),
    *("taken_at", "imported_at", "facts", "tags", "vector"),
)
"""All columns; an npz file has no `tags`."""
REQUIRED = ("path", "vector")

MAX_BATCH_BYTES = 16 << 20
_ROW_BYTES = 1500


class RowProblem(NamedTuple):
    """Why a row can't be imported: the reason it is counted under, and details."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a file, not validated yet.

    Attributes:
        first: number of the first row in the file, from 0.
        values: by column, one value per row; None for a missing value.
        vectors: float32 [rows, dimension].
        problems: of rows with a value that can't be read, by their number in the batch.
    """

    first: int
    values: Mapping[str, Sequence[Any]]
    vectors: Matrix
    problems: dict[int, RowProblem] = field(default_factory=dict)


class Source(Protocol):
    """An exchange file that is open for reading."""

    @property
    def path(self) -> str:
        """As it was named."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def info(self) -> CollectionInfo | None:
        """Description of the rows' collection; None if the file has none."""
        ...

    @property
    def dimension(self) -> int | None:
        """Length of the vectors; None if it may differ between rows."""
        ...

    @property
    def unused(self) -> Sequence[str]:
        """Columns that clipstack does not read."""
        ...

    def batches(self, dimension: int) -> Iterator[Batch]:
        """All rows, in order.

        Args:
            dimension: expected length of the vectors; rows with others get a problem.

        Raises:
            ClipstackError: the file is damaged; earlier batches are valid.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Sink(Protocol):
    """An exchange file that is being written."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def close(self) -> None:
        """Close the file, whether it is complete or not."""
        ...


def rows_per_batch(dimension: int) -> int:
    """Number of rows with vectors of that dimension to read or write together."""
    return max(1, MAX_BATCH_BYTES // (4 * dimension + _ROW_BYTES))


def facts_to_json(facts: Mapping[str, Any]) -> str | None:
    """Dynamic fields as JSON for the column `facts`: the same text for the same facts."""
    if not facts:
        return None
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def info_to_json(info: CollectionInfo) -> str:
    """The description of a file's collection as JSON."""
    facts = asdict(info)
    facts["collection"] = facts.pop("name")
    return json.dumps({"clipstack": VERSION, **facts}, ensure_ascii=False)


def info_from_json(text: str, path: str) -> CollectionInfo:
    """Parse the description of a file's collection.

    Args:
        path: of the file, for errors.

    Raises:
        ClipstackError: a newer clipstack wrote it, or it is invalid.
    """
    try:
        facts = json.loads(text)
        version = facts.pop("clipstack")
        if int(version) > VERSION:
            raise ClipstackError(
                f"{path}: written by a newer clipstack", hint="Upgrade clipstack and try again."
            )
        info = CollectionInfo(name=facts.pop("collection"), **facts)
    except (ValueError, TypeError, KeyError, AttributeError):
        info = None
    if info is None or not _is_valid(info):
        raise ClipstackError(
            f"{path}: what it says of its model and metric can't be read",
            hint=f"Take away its metadata {METADATA!r}, and say whose its vectors are with "
            "--model NAME.",
        )
    return info


def _is_valid(info: CollectionInfo) -> bool:
    texts = [getattr(info, field.name) for field in fields(info) if field.name != "dimension"]
    return (
        all(isinstance(text, str) for text in texts)
        and type(info.dimension) is int
        and info.dimension > 0
        and info.metric in METRICS
    )
