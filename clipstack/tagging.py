"""Settings, pictures and tags in; the pictures with their tags as they are now out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from clipstack.errors import NotFoundError, UsageError
from clipstack.index import collections, upkeep
from clipstack.index.tags import Tagged, Tags
from clipstack.index.words import check_tag, folded
from clipstack.settings import Settings
from clipstack.workspace import open_database

STDIN = "-"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Result:
    """What was done.

    Attributes:
        pictures: those named, with their tags.
        missing: what was named and is not in the collection.
    """

    collection: str
    pictures: list[Tagged]
    missing: list[str]


def tag(
    settings: Settings,
    given: Sequence[str],
    stdin: BinaryIO,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    note: Callable[[str], None],
) -> Result:
    """Add tags to pictures of `settings.collection`, and take others away.

    Args:
        given: ids, paths of pictures and folders, or "-" for a list of them on `stdin`.

    Raises:
        UsageError: a tag is none, is to be added and removed, or a picture would have too many.
        NotFoundError: there is no such collection, or none of the pictures is in it.
    """
    adds = [check_tag(one, "--add") for one in add]
    removes = [check_tag(one, "--remove") for one in remove]
    if both := {folded(one) for one in adds} & {folded(one) for one in removes}:
        raise UsageError(f"{', '.join(sorted(both))}: to be added and removed at once")
    names = list(dict.fromkeys(_names(given, stdin)))
    if not names:
        return Result(settings.collection, [], [])
    with open_database(settings) as database:
        info = collections.get_info(database.client, settings.collection)
        upkeep.ensure_loaded(database.client, info.name, patience=settings.patience, note=note)
        tags = Tags(database.client, info)
        pictures, missing = tags.find(names)
        if not pictures:
            more = f" nor are {len(missing) - 1} more" if len(missing) > 1 else ""
            raise NotFoundError(
                f"{missing[0]} is not in the collection {info.name!r}{more}",
                hint="Import it first: `clipstack import PATH`; "
                "or name another collection with --collection.",
            )
        if adds or removes:
            pictures = tags.change(pictures, adds, removes)
        return Result(info.name, pictures, missing)


def count(settings: Settings, note: Callable[[str], None]) -> list[tuple[str, int]]:
    """Every tag in `settings.collection` and on how many pictures, the most used first.

    Raises:
        NotFoundError: there is no such collection.
    """
    with open_database(settings) as database:
        info = collections.get_info(database.client, settings.collection)
        upkeep.ensure_loaded(database.client, info.name, patience=settings.patience, note=note)
        return Tags(database.client, info).count()


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
