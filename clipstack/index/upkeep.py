"""Collections on a Milvus server in; loaded, released, aliased and compacted out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, ExitCode, NotFoundError, UsageError
from clipstack.index import collections, indexes
from clipstack.index.collections import check_name, get_info
from clipstack.index.indexes import Index

if TYPE_CHECKING:
    from clipstack.index.client import Client

_POLL_SECONDS = 0.1
_FLUSH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        job: Milvus' number for it.
        merged: segments that went into others; made: those they became. 0 while it runs.
        finished: False when it was not waited for.
        seconds: waited.
    """

    name: str
    job: int
    merged: int
    made: int
    finished: bool
    seconds: float


def require_server(client: Client, what: str) -> None:
    """Raises UsageError on the embedded target, which can't do `what`."""
    if client.embedded:
        raise UsageError(
            f"the embedded target can't {what}",
            hint="A Milvus server can: `clipstack up` starts one, and --target stack uses it.",
        )


def load(client: Client, name: str, *, patience: float) -> str:
    """Bring a collection into memory, so that it can be searched; returns its own name.

    An index that is missing, since the process that made the collection was killed, is made.

    Args:
        patience: seconds without any progress after which it is given up.

    Raises:
        ClipstackError: it can't be loaded, or stops on its way.
    """
    info = get_info(client, name)
    if client.embedded or collections.is_loaded(client, info.name):
        return info.name
    if indexes.describe(client, info.name) is None:
        collections.make_index(client, info, Index())
    client.load_collection(info.name, _async=True)
    seen, moved = -1.0, time.monotonic()
    while not collections.is_loaded(client, info.name):
        progress = float(client.get_load_state(info.name).get("progress") or 0.0)
        if progress > seen:
            seen, moved = progress, time.monotonic()
        if time.monotonic() > moved + patience:
            raise ClipstackError(
                f"collection {info.name!r} is loaded to {max(0.0, seen):.0f} % and no further "
                f"since {patience:.0f} s",
                hint="Milvus' log says why: `clipstack logs milvus`. It may lack memory: "
                "`clipstack collections release NAME` frees some.",
                code=ExitCode.TIMEOUT,
            )
        time.sleep(_POLL_SECONDS)
    return info.name


def ensure_loaded(
    client: Client, name: str, *, patience: float, note: Callable[[str], None] = lambda _: None
) -> None:
    """Load a collection that somebody released, and say so; `name` is its own."""
    if client.embedded or collections.is_loaded(client, name):
        return
    state = str(client.get_load_state(name)["state"])
    if state == "NotLoad":
        note(f"Collection {name} is released; loading it.")
    load(client, name, patience=patience)


def release(client: Client, name: str) -> str:
    """Take a collection out of memory; its rows stay. Returns its own name."""
    require_server(client, "release a collection: a search reads it from the file")
    own = get_info(client, name).name
    # Milvus counts a released collection by its sealed segments.
    client.flush(own, timeout=_FLUSH_SECONDS)
    client.release_collection(own)
    return own


def set_alias(client: Client, name: str, alias: str) -> str:
    """Give a collection another name, taken from the one that has it now.

    Returns:
        The collection that had the alias before, or "".

    Raises:
        UsageError: `alias` is no name for a collection.
        ClipstackError: there is a collection of that name.
    """
    require_server(client, "give a collection an alias")
    own = get_info(client, name).name
    check_name(alias)
    if not collections.exists(client, alias):
        collections.forget_alias(client, alias)
        client.create_alias(own, alias)
        return ""
    before = get_info(client, alias).name
    if before == alias:
        raise ClipstackError(
            f"there is a collection {alias!r} already", hint="Choose another alias."
        )
    if before != own:
        client.alter_alias(own, alias)
    return before


def delete_alias(client: Client, name: str, alias: str) -> None:
    """Take an alias away from a collection.

    Raises:
        NotFoundError: it does not have that alias.
    """
    require_server(client, "give a collection an alias")
    own = get_info(client, name).name
    have = collections.aliases(client, own)
    if alias not in have:
        raise NotFoundError(
            f"collection {own!r} has no alias {alias!r}",
            hint=f"It has: {', '.join(have)}." if have else "It has none.",
        )
    client.drop_alias(alias)


def compact(client: Client, name: str, *, wait: bool) -> Compacted:
    """Merge a collection's small segments and leave out rows that were replaced.

    Args:
        wait: until it is done, which may take minutes.
    """
    require_server(client, "compact a collection: there is nothing to compact")
    started = time.monotonic()
    own = get_info(client, name).name
    client.flush(own, timeout=_FLUSH_SECONDS)  # rows of growing segments take part too
    job = int(client.compact(own))
    finished = False
    while wait and not finished:
        finished = client.get_compaction_state(job) == "Completed"
        if not finished:
            time.sleep(5 * _POLL_SECONDS)
    plans = client.get_compaction_plans(job).plans if finished and job > 0 else []
    merged = sum(len(plan.sources) for plan in plans)
    return Compacted(own, job, merged, len(plans), finished, time.monotonic() - started)
