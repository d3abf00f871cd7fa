"""The user's own tags of pictures: found, changed and counted."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from clipstack.errors import NotFoundError, UsageError
from clipstack.events import Events
from clipstack.index.base import Collection, PictureTags
from clipstack.index.connect import connect
from clipstack.index.derived_fields import check_tag, fold_case
from clipstack.index.filters.syntax import below_folder
from clipstack.index.schema import row_id
from clipstack.settings import Settings

STDIN = "-"
MOST_TAGS = 100
_ID = re.compile(r"[0-9a-f]{32}")
_READ = 1000


@dataclass(frozen=True, slots=True)
class TagResult:
    """What was done.

    Attributes:
        pictures: those named, with their tags as they are now.
        changed: ids of those whose tags are not what they were.
        missing: what was named and is not in the collection.
    """

    collection: str
    pictures: list[PictureTags]
    changed: frozenset[str]
    missing: list[str]


def tag(
    settings: Settings,
    given: Sequence[str],
    stdin: BinaryIO,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    events: Events,
) -> TagResult:
    """Add tags to pictures of `settings.collection`, and take others away.

    Args:
        given: ids, paths of pictures and folders, or "-" for a list of them on `stdin`.

    Raises:
        UsageError: a tag is none, is to be added and removed, or a picture would have too many.
        NotFoundError: there is no such collection, or none of the pictures is in it.
    """
    adds = [check_tag(one, "--add") for one in add]
    removes = [check_tag(one, "--remove") for one in remove]
    if both := {fold_case(one) for one in adds} & {fold_case(one) for one in removes}:
        raise UsageError(f"{', '.join(sorted(both))}: to be added and removed at once")
    names = list(dict.fromkeys(_names(given, stdin)))
    if not names:
        return TagResult(settings.collection, [], frozenset(), [])
    with connect(settings) as index:
        collection = index.collection(
            settings.collection, patience=settings.patience, events=events
        )
        name = collection.info.name
        pictures, missing = _find(collection, names)
        if not pictures:
            more = f" nor are {len(missing) - 1} more" if len(missing) > 1 else ""
            raise NotFoundError(
                f"{missing[0]} is not in the collection {name!r}{more}",
                hint="Import it first: `clipstack import PATH`; "
                "or name another collection with --collection.",
            )
        changes = _changes(pictures, adds, removes)
        ids = list(changes)
        for start in range(0, len(ids), _READ):  # others can write in between
            collection.set_tags({id: changes[id] for id in ids[start : start + _READ]})
    pictures = [one._replace(tags=changes.get(one.id, one.tags)) for one in pictures]
    return TagResult(name, pictures, frozenset(changes), missing)


def count(settings: Settings, events: Events) -> list[tuple[str, int]]:
    """Every tag in `settings.collection`, as it is mostly written, and on how many pictures; the
    most used first.

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
    counts = [(_mostly(written), written.total()) for written in spellings.values()]
    return sorted(counts, key=lambda item: (-item[1], item[0]))


def _mostly(written: Counter[str]) -> str:
    return min(written, key=lambda tag: (-written[tag], tag))


def _find(collection: Collection, given: Sequence[str]) -> tuple[list[PictureTags], list[str]]:
    """The pictures meant, in order and each once, and what of `given` means none.

    Args:
        given: ids, and absolute paths of pictures and of folders, whose every picture is meant.
    """
    pictures: dict[str, PictureTags] = {}
    missing: list[str] = []
    for start in range(0, len(given), _READ):
        chunk = given[start : start + _READ]
        ids = {one: row_id(one) if one.startswith("/") else one for one in chunk}
        stored = collection.picture_tags(sorted(set(ids.values())))
        for one in chunk:
            meant = [stored[ids[one]]] if ids[one] in stored else []
            if not meant and one.startswith("/"):
                meant = list(collection.all_picture_tags(below_folder(one)))
            if not meant:
                missing.append(one)
            for picture in meant:
                pictures.setdefault(picture.id, picture)
    return list(pictures.values()), missing


def _changes(
    pictures: Sequence[PictureTags], add: Sequence[str], remove: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """By id, the new tags of the pictures whose tags change when some are added and removed,
    whatever their case.

    Raises:
        UsageError: a picture would have more than `MOST_TAGS`.
    """
    away = set(map(fold_case, remove))
    changes: dict[str, tuple[str, ...]] = {}
    for picture in pictures:
        kept = {fold_case(tag): tag for tag in picture.tags if fold_case(tag) not in away}
        for tag in add:
            kept.setdefault(fold_case(tag), tag)
        if len(kept) > MOST_TAGS:
            raise UsageError(f"{picture.path}: more than {MOST_TAGS} tags")
        if (tags := tuple(kept.values())) != picture.tags:
            changes[picture.id] = tags
    return changes


def _names(given: Sequence[str], stdin: BinaryIO) -> Iterator[str]:
    for one in given:
        if one == STDIN:
            data = stdin.read()
            listed = data.split(b"\0" if b"\0" in data else b"\n")
            yield from (_name(os.fsdecode(name)) for name in listed if name.strip())
        else:
            yield _name(one)


def _name(given: str) -> str:
    is_id = _ID.fullmatch(given) and not os.path.lexists(given)
    path = given if is_id else os.path.abspath(given)  # noqa: PTH100
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(f"{shown}: its name is not valid UTF-8, so it is no picture") from None
    return path
