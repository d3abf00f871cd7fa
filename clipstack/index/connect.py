"""Opening the index of a target: a database on this machine, or a Milvus server."""

from __future__ import annotations

from clipstack.errors import NotFoundError
from clipstack.index.base import Index
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings


def index_exists(settings: Settings) -> bool:
    """Whether the target's database exists; always True for a server, and for a database in a
    folder that can't be read."""
    try:
        return not settings.is_embedded or settings.database.exists()
    except PermissionError:
        return True


def connect(
    settings: Settings, *, create: bool = False, retry_policy: RetryPolicy | None = None
) -> Index:
    """Open the target's index; a context manager that closes it.

    Args:
        create: create the database on this machine if it does not exist.
        retry_policy: for a server that becomes unavailable later; `settings.wait` by default.

    Raises:
        NotFoundError: the database does not exist, and `create` is not set.
        UnreachableError: the server does not answer, or refuses the token.
        UsageError: the server's address is invalid, or a TLS file can't be read.
        ClipstackError: the database is damaged, or belongs to another program.
    """
    if not settings.is_embedded:
        from clipstack.index.milvus.connection import Tls
        from clipstack.index.milvus.index import MilvusIndex

        return MilvusIndex(
            settings.milvus_uri,
            token=settings.milvus_token,
            database=settings.milvus_database,
            tls=Tls.from_settings(settings),
            wait=settings.wait,
            retry_policy=retry_policy,
        )
    if not index_exists(settings) and not create:
        raise NotFoundError(
            f"nothing is imported yet: there is no {settings.database}",
            hint="Start with `clipstack import FOLDER`, or `clipstack demo` to see it work.",
        )
    from clipstack.index.local.index import LocalIndex

    return LocalIndex(settings.database, wait=settings.wait, create=create)
