"""Making collections on a Milvus server searchable: indexing and loading them."""

from __future__ import annotations

import time

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.index import naming
from clipstack.index.milvus import index_params
from clipstack.index.milvus.client import Client
from clipstack.index.schema import CollectionInfo
from clipstack.index.vector_index import VectorIndex

_POLL_SECONDS = 0.1


def is_loaded(client: Client, name: str) -> bool:
    """Whether a collection can be searched now."""
    return _state(client, name) == "Loaded"


def is_released(client: Client, name: str) -> bool:
    """Whether a collection is neither in memory nor being loaded."""
    return _state(client, name) == "NotLoad"


def _state(client: Client, name: str) -> str:
    state = str(client.get_load_state(name)["state"])
    if state == "NotExist":
        raise naming.dropped_error()
    return state


def make_index(client: Client, info: CollectionInfo, requested: VectorIndex) -> None:
    """Create the index on a collection's vectors.

    Raises:
        ClipstackError: Milvus does not support it.
    """
    index = index_params.with_defaults(requested)
    try:
        client.create_index(info.name, index_params.build(client, index, info.metric), sync=False)
    except UnreachableError:
        raise
    except ClipstackError as error:
        params = ", ".join(f"{name}={value}" for name, value in index.params.items())
        raise ClipstackError(
            f"Milvus does not make the index {index.type}{f' with {params}' if params else ''}: "
            f"{error.message.removeprefix('Milvus answered: ')}",
            hint="Choose another with --index and --index-params; AUTOINDEX always works.",
        ) from None


def load(client: Client, info: CollectionInfo, *, patience: float) -> None:
    """Load a collection into memory.

    A missing index, left out when the process that created the collection was killed, is created.

    Args:
        patience: seconds without progress after which it gives up.

    Raises:
        NotFoundError: it was dropped.
        ClipstackError: it can't be loaded, or makes no progress.
    """
    if is_loaded(client, info.name):
        return
    if index_params.describe(client, info.name) is None:
        make_index(client, info, VectorIndex())
    client.load_collection(info.name, _async=True)
    highest, progressed_at = -1.0, time.monotonic()
    while not is_loaded(client, info.name):
        progress = float(client.get_load_state(info.name).get("progress") or 0.0)
        if progress > highest:
            highest, progressed_at = progress, time.monotonic()
        if time.monotonic() > progressed_at + patience:
            raise ClipstackError(
                f"collection {info.name!r} is loaded to {max(0.0, highest):.0f} % and no further "
                f"since {patience:.0f} s",
                hint="Milvus' log says why: `clipstack logs milvus`. It may lack memory: "
                "`clipstack collections release NAME` frees some.",
                code=ExitCode.TIMEOUT,
            )
        time.sleep(_POLL_SECONDS)
