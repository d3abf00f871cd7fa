"""The model that settings and a collection call for, and its encoder."""

from __future__ import annotations

from dataclasses import replace

from clipstack import encoders
from clipstack.encoders.base import Encoder, ModelInfo
from clipstack.errors import ClipstackError, UsageError
from clipstack.events import SILENT, Events
from clipstack.index.base import require_same_model
from clipstack.index.schema import CollectionInfo
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings

_LAST: list[Encoder] = []
"""Keeps the encoder in memory until the process ends, which then frees it 20 times faster."""


def model_for(
    settings: Settings,
    collection: CollectionInfo | None,
    *,
    download: bool,
    events: Events = SILENT,
    retry_policy: RetryPolicy | None = None,
) -> ModelInfo:
    """The model to use: the one that the user named, else the collection's, else the default.

    With `settings.encoder_urls` it is the model that those services have.

    Args:
        collection: of the vectors, or None if it does not exist yet.
        download: whether to download a model that is not on this machine.
        events: reports a download, and services that are waited for.
        retry_policy: for services that don't answer; by default `settings.wait` bounds the wait.

    Raises:
        PrerequisiteError: the model is not on this machine and can't be downloaded.
        ClipstackError: the collection holds vectors of another model or of another precision.
        UnreachableError: no service answers.
        UsageError: the services have another model than the one that the user named.
    """
    if settings.encoder_urls:
        fingerprint = collection.fingerprint if collection else ""
        model = _service_model(settings, fingerprint, retry_policy or _deadline(settings, events))
    else:
        model = _local_model(settings, collection, download, events)
    if collection:
        _require_same_precision(settings, collection, model)
        require_same_model(collection, model)
    return model


def encoder_for(
    settings: Settings,
    model: ModelInfo,
    retry_policy: RetryPolicy | None = None,
    events: Events = SILENT,
) -> Encoder:
    """The model, loaded into this process, or in the services at `settings.encoder_urls`.

    Args:
        retry_policy: for services that don't answer; by default `settings.wait` bounds the wait.
        events: reports what takes a while.

    Raises:
        PrerequisiteError: it can't be loaded.
        UnreachableError: no service answers.
        ClipstackError: the services have another model.
    """
    if settings.encoder_urls:
        return encoders.connect(
            settings.encoder_urls,
            settings.encoder_token,
            model=model,
            retry_policy=retry_policy or _deadline(settings, events),
        )
    encoder = encoders.load(
        model,
        device=settings.device,
        engine=settings.engine,
        precision=settings.precision,
        events=events,
    )
    _LAST[:] = [encoder]
    return encoder


def _deadline(settings: Settings, events: Events) -> RetryPolicy:
    hint = "--wait SECONDS waits longer; `clipstack health` says how the encoders are."
    return RetryPolicy(settings.wait, events, hint=hint, is_deadline=True)


def _service_model(settings: Settings, fingerprint: str, retry_policy: RetryPolicy) -> ModelInfo:
    encoder = encoders.connect(
        settings.encoder_urls,
        settings.encoder_token,
        fingerprint=fingerprint,
        retry_policy=retry_policy,
    )
    encoder.close(report=False)
    model = encoder.info
    if not settings.is_default("model") and not _has_name(model, settings.model):
        raise UsageError(
            f"the service at {' '.join(settings.encoder_urls)} has the model {model.name}, "
            f"not {settings.model}",
            hint=f"Leave out --model, or serve it: `clipstack serve --model {settings.model}`. "
            f"{settings.model} was asked for by {settings.origins['model']}.",
        )
    return model


def _has_name(model: ModelInfo, name: str) -> bool:
    """Whether `name` means this model of a service, as its name there or on this machine."""
    from clipstack.encoders.models.catalog import describe, resolve

    if name in (model.name, f"{model.name}@{model.revision}"):
        return True
    try:
        return describe(resolve(name, download=False)).fingerprint == model.fingerprint
    except ClipstackError:
        return False


def _local_model(
    settings: Settings,
    collection: CollectionInfo | None,
    download: bool,
    events: Events,
) -> ModelInfo:
    from clipstack.encoders.models.catalog import describe, resolve

    name = settings.model
    if collection and settings.is_default("model"):
        name = collection.model
        if collection.revision and "@" not in name:
            name = f"{name}@{collection.revision}"
    folder = resolve(name, download=download, events=events)
    if folder.source == "folder":  # the collection stores the name for use in any folder
        folder = replace(folder, name=str(folder.path))
    return _at_precision(settings, describe(folder), collection.fingerprint if collection else "")


def _at_precision(settings: Settings, model: ModelInfo, fingerprint: str) -> ModelInfo:
    """The model as int8 if that is set, or if no precision is and the collection's vectors are."""
    from clipstack.encoders.openvino import int8_store

    if settings.precision == "int8":
        return encoders.int8(model, settings.engine, fingerprint)
    if settings.precision == "auto" and fingerprint not in ("", model.fingerprint):
        return int8_store.as_int8(model, fingerprint) or model
    return model


def _require_same_precision(
    settings: Settings, collection: CollectionInfo, model: ModelInfo
) -> None:
    """Refuse to mix int8 with other vectors of a model, as far as this machine knows them."""
    from clipstack.encoders.openvino import int8_store

    if collection.fingerprint == model.fingerprint:
        return
    precision, origin = settings.precision, settings.origins.get("precision", "default")
    hint = (
        f"Leave out --precision {precision} (it comes from {origin}), or import into another "
        "collection with --collection NAME."
    )
    if model.quantized_from == collection.fingerprint:
        kind = f"of {model.name!r} that are not int8"
    elif model.quantized_from:
        kind = f"of another int8 than {model.name!r} has here, or of another model"
    elif collection.fingerprint in {tower.fingerprint for tower in int8_store.towers_of(model)}:
        kind = f"of {model.name!r} as int8"
    else:
        return
    raise ClipstackError(f"collection {collection.name!r} holds vectors {kind}", hint=hint)
