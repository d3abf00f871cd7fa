"""Settings in; the open database, and the model a collection asks for, out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clipstack.encoders.base import ModelInfo
from clipstack.errors import NotFoundError
from clipstack.index.collections import require_same_model
from clipstack.index.database import Database
from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings

EMBEDDED = "embedded"


def has_database(settings: Settings) -> bool:
    """Whether there is anything to open.

    Raises:
        NotFoundError: there is no such target.
    """
    if settings.target != EMBEDDED:
        raise NotFoundError(
            f"there is no target {settings.target!r}",
            hint=f"Targets are: {EMBEDDED}. It was asked for by "
            f"{settings.origins.get('target', 'default')}.",
        )
    return settings.database.exists()


def open_database(settings: Settings, *, create: bool = False) -> Database:
    """Open the target's database; a context manager that closes it.

    Args:
        create: make the database when there is none yet.

    Raises:
        NotFoundError: there is no such target, or without `create` no database.
        UnreachableError: another process holds the file for longer than `settings.wait`.
    """
    if not has_database(settings) and not create:
        raise NotFoundError(
            f"nothing is imported yet: there is no {settings.database}",
            hint="Start with `clipstack import FOLDER`, or `clipstack demo` to see it work.",
        )
    return Database(settings.database, wait=settings.wait)


def model_for(
    settings: Settings,
    collection: CollectionInfo | None,
    *,
    download: bool,
    progress: Callable[[int, int], None] | None = None,
) -> ModelInfo:
    """The model to use: the one the user named, else the collection's, else the default.

    Args:
        collection: the collection the vectors are for, or None when it does not exist yet.
        download: fetch the model when it is not on this machine.
        progress: called with bytes done and bytes in all while fetching.

    Raises:
        PrerequisiteError: the model is not on this machine and not to be had.
        ClipstackError: the collection holds another model's vectors.
    """
    from clipstack.encoders.models import describe, resolve

    name = settings.model
    if collection and settings.is_default("model"):
        name = collection.model
        if collection.revision and "@" not in name:
            name = f"{name}@{collection.revision}"
    folder = resolve(name, download=download, progress=progress)
    if folder.source == "folder":  # the collection remembers the name, wherever it is used
        folder = replace(folder, name=str(folder.path))
    model = describe(folder)
    if collection:
        require_same_model(collection, model)
    return model
