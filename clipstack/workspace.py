"""Settings in; the open database, the model a collection asks for, and its encoder out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clipstack import encoders
from clipstack.encoders.base import Encoder, ModelInfo
from clipstack.errors import ClipstackError, NotFoundError, UsageError
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

    With `settings.encoder_url` it is the one the service there has.

    Args:
        collection: the collection the vectors are for, or None when it does not exist yet.
        download: fetch the model when it is not on this machine.
        progress: called with bytes done and bytes in all while fetching.

    Raises:
        PrerequisiteError: the model is not on this machine and not to be had.
        ClipstackError: the collection holds another model's vectors.
        UnreachableError: the service does not answer.
        UsageError: the service has another model than the one the user named.
    """
    if settings.encoder_url:
        model = _model_of_service(settings)
    else:
        model = _model_of_this_machine(settings, collection, download, progress)
    if collection:
        require_same_model(collection, model)
    return model


def encoder_for(settings: Settings, model: ModelInfo) -> Encoder:
    """The model, loaded into this process, or as the service at `settings.encoder_url` has it.

    Raises:
        PrerequisiteError: it can't be loaded.
        UnreachableError: the service does not answer.
        ClipstackError: the service has another model.
    """
    if settings.encoder_url:
        return encoders.connect(settings.encoder_url, settings.encoder_token, model=model)
    return encoders.load(model, device=settings.device)


def _model_of_service(settings: Settings) -> ModelInfo:
    encoder = encoders.connect(settings.encoder_url, settings.encoder_token)
    encoder.close()
    model = encoder.info
    if not settings.is_default("model") and not _is_called(model, settings.model):
        raise UsageError(
            f"the service at {settings.encoder_url} has the model {model.name}, "
            f"not {settings.model}",
            hint=f"Leave out --model, or serve it: `clipstack serve --model {settings.model}`. "
            f"{settings.model} was asked for by {settings.origins['model']}.",
        )
    return model


def _is_called(model: ModelInfo, name: str) -> bool:
    """Whether a service's model is the one meant by `name`, here or there."""
    from clipstack.encoders.models import describe, resolve

    if name in (model.name, f"{model.name}@{model.revision}"):
        return True
    try:
        return describe(resolve(name, download=False)).fingerprint == model.fingerprint
    except ClipstackError:
        return False


def _model_of_this_machine(
    settings: Settings,
    collection: CollectionInfo | None,
    download: bool,
    progress: Callable[[int, int], None] | None,
) -> ModelInfo:
    from clipstack.encoders.models import describe, resolve

    name = settings.model
    if collection and settings.is_default("model"):
        name = collection.model
        if collection.revision and "@" not in name:
            name = f"{name}@{collection.revision}"
    folder = resolve(name, download=download, progress=progress)
    if folder.source == "folder":  # the collection remembers the name, wherever it is used
        folder = replace(folder, name=str(folder.path))
    return describe(folder)
