"""The index of a target, opened: a database on this machine, or a Milvus server."""

from __future__ import annotations

from clipstack.errors import NotFoundError
from clipstack.index.base import Index
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings


def is_there(settings: Settings) -> bool:
    """Whether there is anything to open; a server is taken to be there, and a database in a folder
    that can't be looked into."""
    try:
        return bool(settings.milvus_uri) or settings.database.exists()
    except PermissionError:
        return True


def connect(
    settings: Settings, *, create: bool = False, patience: RetryPolicy | None = None
) -> Index:
    """Open the target's index; a context manager that closes it.

    Args:
        create: make the database on this machine where there is none yet.
        patience: with a server that goes away later; `settings.wait` by default.

    Raises:
        NotFoundError: without `create`, there is no database yet.
        UnreachableError: the server does not answer, or refuses the token.
        UsageError: the server's address is none, or a TLS file can't be read.
        ClipstackError: the database is damaged, or another program's.
    """
    if settings.milvus_uri:
        from clipstack.index.milvus.index import MilvusIndex
        from clipstack.index.milvus.server import Tls

        return MilvusIndex(
            settings.milvus_uri,
            token=settings.milvus_token,
            database=settings.milvus_database,
            tls=Tls.of(settings),
            wait=settings.wait,
            patience=patience,
        )
    if not is_there(settings) and not create:
        raise NotFoundError(
            f"nothing is imported yet: there is no {settings.database}",
            hint="Start with `clipstack import FOLDER`, or `clipstack demo` to see it work.",
        )
    from clipstack.index.local.index import LocalIndex

    return LocalIndex(settings.database, wait=settings.wait, create=create)
