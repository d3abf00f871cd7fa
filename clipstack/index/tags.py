"""Pictures of a collection and tags in, the same pictures with other tags out.

Milvus 2.3 changes no part of a row: it is read whole, with its vector, and written again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from clipstack.errors import UsageError
from clipstack.index.schema import CollectionInfo, row_id
from clipstack.index.store import MESSAGE_BYTES, under_filter
from clipstack.index.words import folded, with_words

if TYPE_CHECKING:
    from clipstack.index.client import Client

MOST_TAGS = 100
_READ = 1000
_ROW_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Tagged:
    """A picture and its own tags; `changed` when they are not what they were."""

    id: str
    path: str
    tags: tuple[str, ...]
    changed: bool = False


class Tags:
    """The tags of one collection's pictures.

    Args:
        client: of the open database.
        info: of the collection, which exists.
    """

    def __init__(self, client: Client, info: CollectionInfo) -> None:
        self._client = client
        self._name = info.name
        self._rows = max(1, min(_READ, MESSAGE_BYTES // (4 * info.dimension + _ROW_BYTES)))

    def find(self, given: Sequence[str]) -> tuple[list[Tagged], list[str]]:
        """The pictures meant, in order and each once, and what of `given` means none.

        Args:
            given: ids, and absolute paths of pictures and of folders, whose every picture is
                meant.
        """
        found: dict[str, Tagged] = {}
        missing: list[str] = []
        rest = iter(given)
        while chunk := list(islice(rest, _READ)):
            ids = {one: one if not one.startswith("/") else row_id(one) for one in chunk}
            rows = {
                row["id"]: row for row in self._get(sorted(set(ids.values())), ["path", "tags"])
            }
            for one in chunk:
                row = rows.get(ids[one])
                below = [] if row or not one.startswith("/") else self._below(one)
                if row is None and not below:
                    missing.append(one)
                for each in [row] if row else below:
                    found.setdefault(each["id"], _tagged(each))
        return list(found.values()), missing

    def change(
        self, pictures: Sequence[Tagged], add: Sequence[str], remove: Sequence[str]
    ) -> list[Tagged]:
        """Add and remove tags, whatever their case; only rows that change are written.

        Raises:
            UsageError: a picture would have more than `MOST_TAGS`.
        """
        planned = {one.id: _changed(one, add, remove) for one in pictures}
        ids = [one.id for one in planned.values() if one.changed]
        for start in range(0, len(ids), self._rows):
            rows = self._get(ids[start : start + self._rows], ["*"])
            written = [_entity(row, planned[row["id"]].tags) for row in rows]
            self._client.upsert(self._name, written)
        return list(planned.values())

    def count(self) -> list[tuple[str, int]]:
        """Every tag, as it is mostly written, and on how many pictures; the most used first."""
        spelled: dict[str, Counter[str]] = {}
        for row in self._all("", ["tags"]):
            for tag in row.get("tags") or ():
                spelled.setdefault(folded(tag), Counter())[tag] += 1
        found = [(_mostly(writings), writings.total()) for writings in spelled.values()]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def _get(self, ids: Sequence[str], fields: list[str]) -> list[dict[str, Any]]:
        rows = self._client.get(
            self._name, ids=list(ids), output_fields=fields, consistency_level="Strong"
        )
        return [dict(row) for row in rows]

    def _below(self, folder: str) -> list[dict[str, Any]]:
        return list(self._all(under_filter(folder), ["path", "tags"]))

    def _all(self, expression: str, fields: list[str]) -> Iterator[dict[str, Any]]:
        rows = self._client.query_iterator(
            self._name,
            batch_size=_READ,
            filter=expression,
            output_fields=["id", *fields],
            consistency_level="Strong",
        )
        try:
            while batch := rows.next():
                yield from map(dict, batch)
        finally:
            rows.close()


def _mostly(writings: Counter[str]) -> str:
    return min(writings, key=lambda tag: (-writings[tag], tag))


def _tagged(row: dict[str, Any]) -> Tagged:
    return Tagged(row["id"], row["path"], tuple(row.get("tags") or ()))


def _changed(one: Tagged, add: Sequence[str], remove: Sequence[str]) -> Tagged:
    away = set(map(folded, remove))
    kept = {folded(tag): tag for tag in one.tags if folded(tag) not in away}
    for tag in add:
        kept.setdefault(folded(tag), tag)
    if len(kept) > MOST_TAGS:
        raise UsageError(f"{one.path}: more than {MOST_TAGS} tags")
    tags = tuple(kept.values())
    return Tagged(one.id, one.path, tags, changed=tags != one.tags)


def _entity(row: dict[str, Any], tags: Sequence[str]) -> dict[str, Any]:
    row.pop("tags", None)
    return with_words(row | {"tags": list(tags)} if tags else row)
