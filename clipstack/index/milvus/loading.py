"""Collections on a Milvus server made ready to be searched: indexed and loaded."""

from __future__ import annotations

import time

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.index.milvus import index_types
from clipstack.index.milvus.client import Client
from clipstack.index.schema import CollectionInfo
from clipstack.index.vector_index import VectorIndex

_POLL_SECONDS = 0.1


def is_loaded(client: Client, name: str) -> bool:
    """Whether a collection can be searched now."""
    return _state(client, name) == "Loaded"


def is_released(client: Client, name: str) -> bool:
    """Whether a collection is out of memory, and not on its way into it."""
    return _state(client, name) == "NotLoad"


def _state(client: Client, name: str) -> str:
    return str(client.get_load_state(name)["state"])


def make_index(client: Client, info: CollectionInfo, wanted: VectorIndex) -> None:
    """Make the index on a collection's vectors.

    Raises:
        ClipstackError: Milvus does not make that one.
    """
    index = index_types.with_defaults(wanted)
    try:
        client.create_index(
            info.name, index_types.to_milvus(client, index, info.metric), sync=False
        )
    except UnreachableError:
        raise
    except ClipstackError as error:
        given = ", ".join(f"{name}={value}" for name, value in index.params.items())
        raise ClipstackError(
            f"Milvus does not make the index {index.type}{f' with {given}' if given else ''}: "
            f"{error.message.removeprefix('Milvus answered: ')}",
            hint="Choose another with --index and --index-params; AUTOINDEX always works.",
        ) from None


def load(client: Client, info: CollectionInfo, *, patience: float) -> None:
    """Bring a collection into memory.

    An index that is missing, since the process that made the collection was killed, is made.

    Args:
        patience: seconds without any progress after which it is given up.

    Raises:
        ClipstackError: it can't be loaded, or stops on its way.
    """
    if is_loaded(client, info.name):
        return
    if index_types.describe(client, info.name) is None:
        make_index(client, info, VectorIndex())
    client.load_collection(info.name, _async=True)
    reached, moved = -1.0, time.monotonic()
    while not is_loaded(client, info.name):
        progress = float(client.get_load_state(info.name).get("progress") or 0.0)
        if progress > reached:
            reached, moved = progress, time.monotonic()
        if time.monotonic() > moved + patience:
            raise ClipstackError(
                f"collection {info.name!r} is loaded to {max(0.0, reached):.0f} % and no further "
                f"since {patience:.0f} s",
                hint="Milvus' log says why: `clipstack logs milvus`. It may lack memory: "
                "`clipstack collections release NAME` frees some.",
                code=ExitCode.TIMEOUT,
            )
        time.sleep(_POLL_SECONDS)
