"""Names of collections in; collections made, described, renamed and dropped.

Wherever a name is asked for, an alias will do, unless the collection itself is changed by it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError, NotFoundError, UnreachableError, UsageError
from clipstack.index import indexes, schema
from clipstack.index.indexes import Index
from clipstack.index.schema import CollectionInfo, Model

if TYPE_CHECKING:
    from clipstack.index.client import Client

_COPY_BATCH = 1000
# Milvus' rule for names of collections.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass(frozen=True, slots=True)
class Described:
    """A collection and what is known of it.

    Attributes:
        rows: those just written included; of a released collection, what Milvus has counted.
        info: None when clipstack did not make it.
        index: None when it has none yet, or clipstack did not make the collection.
        loaded: whether it can be searched; None where that is always so.
        aliases: its other names; None where there are none.
    """

    name: str
    rows: int
    info: CollectionInfo | None
    index: Index | None = None
    loaded: bool | None = None
    aliases: tuple[str, ...] | None = None


def check_name(name: str) -> str:
    """`name`, if Milvus takes it.

    Raises:
        UsageError: it does not.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a collection",
            hint="Use letters, digits and _, not starting with a digit, at most 255 in all.",
        )
    return name


def exists(client: Client, name: str) -> bool:
    """Whether there is a collection called `name`."""
    return bool(client.has_collection(check_name(name)))


def list_all(client: Client) -> list[Described]:
    """Every collection, by name."""
    found = []
    for name in sorted(client.list_collections()):
        with contextlib.suppress(NotFoundError):  # dropped by another since it was listed
            found.append(describe(client, name))
    return found


def describe(client: Client, name: str) -> Described:
    """One collection, by its name or an alias.

    Raises:
        NotFoundError: there is none of that name.
    """
    facts = _facts(client, name)
    name = facts["collection_name"]
    info = CollectionInfo.from_description(name, facts.get("description", ""))
    index = indexes.describe(client, name) if info else None
    if client.embedded:
        return Described(name, count(client, name), info, index)
    loaded = is_loaded(client, name)
    rows = count(client, name) if loaded else _counted(client, name)
    return Described(name, rows, info, index, loaded, tuple(sorted(facts.get("aliases", ()))))


def aliases(client: Client, name: str) -> tuple[str, ...]:
    """The other names of a collection."""
    # Milvus 2.3 finds nothing by list_aliases in a database other than the default one.
    return tuple(sorted(_facts(client, name).get("aliases", ())))


def is_loaded(client: Client, name: str) -> bool:
    """Whether a collection can be searched now."""
    return str(client.get_load_state(name)["state"]) == "Loaded"


def _counted(client: Client, name: str) -> int:
    return int(client.get_collection_stats(name).get("row_count", 0))


def _facts(client: Client, name: str) -> dict[str, Any]:
    if not exists(client, name):
        raise missing(client, name)
    return dict(client.describe_collection(name))


def count(client: Client, name: str, expression: str = "") -> int:
    """Rows of a collection, or those a Milvus filter lets through; just written ones included."""
    result = client.query(
        name, filter=expression, output_fields=["count(*)"], consistency_level="Strong"
    )
    return int(result[0]["count(*)"])


def get_info(client: Client, name: str) -> CollectionInfo:
    """What a collection of clipstack's says of itself.

    Raises:
        NotFoundError: there is none of that name.
        ClipstackError: clipstack did not make it.
    """
    facts = _facts(client, name)
    name = facts["collection_name"]
    info = CollectionInfo.from_description(name, facts.get("description", ""))
    if info is None:
        raise ClipstackError(
            f"collection {name!r} was not made by clipstack",
            hint="Name another with --collection.",
        )
    return info


def create(
    client: Client, name: str, model: Model, metric: str, index: Index | None = None
) -> CollectionInfo:
    """Make an empty collection for the vectors of `model`, compared by `metric`.

    Args:
        index: on its vectors; AUTOINDEX by default.

    Raises:
        UsageError: the embedded target does not have that index.
        ClipstackError: the name is taken, or not allowed, or Milvus does not make the index.
    """
    wanted = indexes.check(index or Index(), embedded=client.embedded)
    check_free(client, name)
    info = CollectionInfo(
        name, model.name, model.revision, model.fingerprint, model.dimension, metric
    )
    _make(client, info, wanted)
    return info


def drop(client: Client, name: str) -> int:
    """Delete a collection, and its aliases with it; returns how many rows went.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: it is an alias.
    """
    found = describe(client, name)
    require_own_name(found.name, name)
    for alias in found.aliases or ():
        client.drop_alias(alias)
    client.drop_collection(found.name)
    return found.rows


def rename(client: Client, old: str, new: str) -> CollectionInfo:
    """Give a collection another name; its aliases stay.

    Raises:
        NotFoundError: there is no `old`.
        UsageError: `old` is an alias.
        ClipstackError: `new` is taken, or not allowed.
    """
    found = get_info(client, old)
    require_own_name(found.name, old)
    info = replace(found, name=check_name(new))
    check_free(client, new)
    if client.embedded:
        _copy(client, old, info)
    else:
        client.rename_collection(old, new)
    return info


def _copy(client: Client, old: str, info: CollectionInfo) -> None:
    """Milvus Lite has no rename: the rows are copied and the old collection is dropped last, so
    that whatever interrupts it, the old one is whole."""
    new = info.name
    _make(client, info, indexes.describe(client, old) or indexes.check(Index(), embedded=True))
    try:
        rows = client.query_iterator(
            old, batch_size=_COPY_BATCH, filter="", output_fields=["*"], consistency_level="Strong"
        )
        while batch := rows.next():
            client.insert(new, [dict(row) for row in batch])
        rows.close()
        before, after = count(client, old), count(client, new)
        if before != after:
            raise ClipstackError(f"copied {after} of {before} rows; {old!r} is left as it was")
    except BaseException:
        client.drop_collection(new)
        raise
    client.drop_collection(old)


def forget_alias(client: Client, name: str) -> None:
    """Remove an alias of nothing. Milvus 2.3 leaves one behind when its collection is dropped, and
    what gets its name then can't be found."""
    if not client.embedded:
        with contextlib.suppress(ClipstackError):
            client.drop_alias(name)


def require_own_name(name: str, given: str) -> None:
    """Raises UsageError when `given` is an alias of the collection `name`."""
    if name != given:
        raise UsageError(
            f"{given!r} is an alias of the collection {name!r}",
            hint=f"Name the collection itself, or take the alias away: "
            f"`clipstack collections alias {name} {given} --delete`.",
        )


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


def missing(client: Client, name: str) -> NotFoundError:
    """The error for a collection that is not there, with what is."""
    have = sorted(client.list_collections())
    hint = "Make one with `clipstack import FOLDER`."
    if have:
        make = f"clipstack import FOLDER --collection {name}"
        hint = f"There is: {', '.join(have)}. Or make it with `{make}`."
    return NotFoundError(f"there is no collection {name!r}", hint=hint)


def check_free(client: Client, name: str) -> None:
    """Raises ClipstackError when there is a collection called `name` already."""
    if exists(client, name):
        raise ClipstackError(
            f"there is a collection {name!r} already",
            hint=f"Choose another name, or `clipstack collections drop {name}` first.",
        )


def _make(client: Client, info: CollectionInfo, index: Index) -> None:
    forget_alias(client, info.name)
    client.create_collection(info.name, schema=schema.build(info), consistency_level="Strong")
    try:
        make_index(client, info, index)
        if not client.embedded:
            # An import asks for digests with every batch; without this, each is a full scan.
            with contextlib.suppress(ClipstackError):
                digests = client.prepare_index_params()
                digests.add_index("digest")
                client.create_index(info.name, digests, sync=False)
        client.load_collection(info.name, _async=True)
    except BaseException:
        with contextlib.suppress(ClipstackError):
            client.drop_collection(info.name)
        raise


def make_index(client: Client, info: CollectionInfo, index: Index) -> None:
    """Index the vectors of a collection.

    Raises:
        ClipstackError: Milvus does not have such an index, or refuses its parameters.
    """
    try:
        client.create_index(info.name, indexes.to_milvus(client, index, info.metric), sync=False)
    except UnreachableError:
        raise
    except ClipstackError as error:
        given = ", ".join(f"{name}={value}" for name, value in index.params.items())
        raise ClipstackError(
            f"Milvus does not make the index {index.type}{f' with {given}' if given else ''}: "
            f"{error.message.removeprefix('Milvus answered: ')}",
            hint="Choose another with --index and --index-params; AUTOINDEX always works.",
        ) from None
