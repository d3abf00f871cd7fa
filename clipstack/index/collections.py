"""Names of collections in; collections made, described, renamed and dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, NotFoundError, UsageError
from clipstack.index import schema
from clipstack.index.schema import CollectionInfo, Model

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_COPY_BATCH = 1000
# Milvus' rule for names of collections.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass(frozen=True, slots=True)
class Described:
    """A collection and how many rows it holds; `info` is None when clipstack did not make it."""

    name: str
    rows: int
    info: CollectionInfo | None


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


def exists(client: MilvusClient, name: str) -> bool:
    """Whether there is a collection called `name`."""
    return bool(client.has_collection(check_name(name)))


def list_all(client: MilvusClient) -> list[Described]:
    """Every collection, by name."""
    return [describe(client, name) for name in sorted(client.list_collections())]


def describe(client: MilvusClient, name: str) -> Described:
    """One collection.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not exists(client, name):
        raise missing(client, name)
    description = client.describe_collection(name).get("description", "")
    return Described(name, count(client, name), CollectionInfo.from_description(name, description))


def count(client: MilvusClient, name: str) -> int:
    """Rows of a collection, those just written included."""
    result = client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
    return int(result[0]["count(*)"])


def get_info(client: MilvusClient, name: str) -> CollectionInfo:
    """What a collection of clipstack's says of itself.

    Raises:
        NotFoundError: there is none of that name.
        ClipstackError: clipstack did not make it.
    """
    if not exists(client, name):
        raise missing(client, name)
    description = client.describe_collection(name).get("description", "")
    info = CollectionInfo.from_description(name, description)
    if info is None:
        raise ClipstackError(
            f"collection {name!r} was not made by clipstack",
            hint="Name another with --collection.",
        )
    return info


def create(client: MilvusClient, name: str, model: Model, metric: str) -> CollectionInfo:
    """Make an empty collection for the vectors of `model`, compared by `metric`.

    Raises:
        ClipstackError: the name is taken, or not allowed.
    """
    check_free(client, name)
    info = CollectionInfo(
        name, model.name, model.revision, model.fingerprint, model.dimension, metric
    )
    _make(client, info)
    return info


def drop(client: MilvusClient, name: str) -> int:
    """Delete a collection; returns how many rows went with it.

    Raises:
        NotFoundError: there is none of that name.
    """
    rows = describe(client, name).rows
    client.drop_collection(name)
    return rows


def rename(client: MilvusClient, old: str, new: str) -> CollectionInfo:
    """Give a collection another name.

    Milvus Lite has no rename: there the rows are copied and the old collection is dropped last,
    so that whatever interrupts it, the old one is whole.

    Raises:
        NotFoundError: there is no `old`.
        ClipstackError: `new` is taken, or not allowed.
    """
    info = replace(get_info(client, old), name=check_name(new))
    check_free(client, new)
    _make(client, info)
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
    return info


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


def missing(client: MilvusClient, name: str) -> NotFoundError:
    """The error for a collection that is not there, with what is."""
    have = sorted(client.list_collections())
    hint = "Make one with `clipstack import FOLDER`."
    if have:
        make = f"clipstack import FOLDER --collection {name}"
        hint = f"There is: {', '.join(have)}. Or make it with `{make}`."
    return NotFoundError(f"there is no collection {name!r}", hint=hint)


def check_free(client: MilvusClient, name: str) -> None:
    """Raises ClipstackError when there is a collection called `name` already."""
    if exists(client, name):
        raise ClipstackError(
            f"there is a collection {name!r} already",
            hint=f"Choose another name, or `clipstack collections drop {name}` first.",
        )


def _make(client: MilvusClient, info: CollectionInfo) -> None:
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=info.metric)
    client.create_collection(
        info.name, schema=schema.build(info), index_params=index, consistency_level="Strong"
    )
