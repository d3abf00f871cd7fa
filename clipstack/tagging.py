"""Tags that users give to pictures."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from clipstack.errors import NotFoundError, UsageError
from clipstack.events import SILENT, Events
from clipstack.index.base import Collection, PictureTags
from clipstack.index.connect import connect
from clipstack.index.derived_fields import check_tag, fold_case
from clipstack.index.filters.syntax import below_folder
from clipstack.index.schema import row_id
from clipstack.settings import Settings

STDIN = "-"
MAX_TAGS = 100
_ID = re.compile(r"[0-9a-f]{32}")
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class TagResult:
    """The result of tagging.

    Attributes:
        pictures: the named ones, with their tags as they are now.
        changed: ids of the pictures whose tags changed.
        missing: names of pictures that are not in the collection.
    """

    collection: str
    pictures: list[PictureTags]
    changed: frozenset[str]
    missing: list[str]


def tag(
    settings: Settings,
    arguments: Sequence[str],
    stdin: BinaryIO,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    events: Events = SILENT,
) -> TagResult:
    """Add tags to pictures of `settings.collection`, and remove others.

    Args:
        arguments: ids, paths of pictures and folders, or "-" for a list of these on `stdin`.

    Raises:
        UsageError: a tag is not valid, is both added and removed, or a picture would have too
            many.
        NotFoundError: there is no such collection, or it has none of the pictures.
    """
    added = [check_tag(tag, "--add") for tag in add]
    removed = [check_tag(tag, "--remove") for tag in remove]
    if both := set(map(fold_case, added)) & set(map(fold_case, removed)):
        raise UsageError(f"{', '.join(sorted(both))}: to be added and removed at once")
    names = list(dict.fromkeys(_names(arguments, stdin)))
    if not names:
        return TagResult(settings.collection, [], frozenset(), [])
    with connect(settings) as index:
        collection = index.collection(
            settings.collection, patience=settings.patience, events=events
        )
        collection_name = collection.info.name
        pictures, missing = _find(collection, names)
        if not pictures:
            more = f" nor are {len(missing) - 1} more" if len(missing) > 1 else ""
            raise NotFoundError(
                f"{missing[0]} is not in the collection {collection_name!r}{more}",
                hint="Import it first: `clipstack import PATH`; "
                "or name another collection with --collection.",
            )
        changes = _changes(pictures, added, removed)
        ids = list(changes)
        for start in range(0, len(ids), _CHUNK):  # others can write in between
            collection.set_tags({id: changes[id] for id in ids[start : start + _CHUNK]})
    pictures = [
        picture._replace(tags=changes.get(picture.id, picture.tags)) for picture in pictures
    ]
    return TagResult(collection_name, pictures, frozenset(changes), missing)


def count(settings: Settings, events: Events = SILENT) -> list[tuple[str, int]]:
    """The tags of `settings.collection` in their most frequent spellings, and the number of
    pictures that have each; the most used tag first.

    Raises:
        NotFoundError: there is no such collection.
    """
    spellings: dict[str, Counter[str]] = {}
    with connect(settings) as index:
        collection = index.collection(
            settings.collection, patience=settings.patience, events=events
        )
        for picture in collection.all_picture_tags():
            for tag in picture.tags:
                spellings.setdefault(fold_case(tag), Counter())[tag] += 1
    counts = [(_most_frequent(spelling), spelling.total()) for spelling in spellings.values()]
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def _most_frequent(spellings: Counter[str]) -> str:
    return min(spellings, key=lambda tag: (-spellings[tag], tag))


def _find(collection: Collection, names: Sequence[str]) -> tuple[list[PictureTags], list[str]]:
    """The named pictures, in order and without duplicates, and the names that match none.

    Args:
        names: ids, and absolute paths of pictures and folders; a folder names all its pictures.
    """
    pictures: dict[str, PictureTags] = {}
    missing: list[str] = []
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        ids = {name: row_id(name) if name.startswith("/") else name for name in chunk}
        stored = collection.picture_tags(sorted(set(ids.values())))
        for name in chunk:
            matches = [stored[ids[name]]] if ids[name] in stored else []
            if not matches and name.startswith("/"):
                matches = list(collection.all_picture_tags(below_folder(name)))
            if not matches:
                missing.append(name)
            for picture in matches:
                pictures.setdefault(picture.id, picture)
    return list(pictures.values()), missing


def _changes(
    pictures: Sequence[PictureTags], added: Sequence[str], removed: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The new tags, by id, of the pictures whose tags change; case is ignored.

    Raises:
        UsageError: a picture would have more than `MAX_TAGS`.
    """
    removed_tags = set(map(fold_case, removed))
    changes: dict[str, tuple[str, ...]] = {}
    for picture in pictures:
        tags = {fold_case(tag): tag for tag in picture.tags if fold_case(tag) not in removed_tags}
        for tag in added:
            tags.setdefault(fold_case(tag), tag)
        if len(tags) > MAX_TAGS:
            raise UsageError(f"{picture.path}: more than {MAX_TAGS} tags")
        if (new_tags := tuple(tags.values())) != picture.tags:
            changes[picture.id] = new_tags
    return changes


def _names(arguments: Sequence[str], stdin: BinaryIO) -> Iterator[str]:
    for argument in arguments:
        if argument == STDIN:
            data = stdin.read()
            lines = data.split(b"\0" if b"\0" in data else b"\n")
            yield from (_name(os.fsdecode(line)) for line in lines if line.strip())
        else:
            yield _name(argument)


def _name(argument: str) -> str:
    """An id as it is, and anything else as an absolute path."""
    is_id = _ID.fullmatch(argument) and not os.path.lexists(argument)
    path = argument if is_id else os.path.abspath(argument)  # noqa: PTH100
    try:
        path.encode()
    except UnicodeEncodeError:
        escaped = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(f"{escaped}: its name is not valid UTF-8, so it is no picture") from None
    return path
