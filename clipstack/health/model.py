"""The model of this machine in; whether it is here, and encodes, out."""

from __future__ import annotations

from clipstack import model_selection
from clipstack.encoders.base import ModelInfo
from clipstack.errors import ClipstackError
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look
from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings

_TEXT = "a picture of health"


def probe(settings: Settings, collection: CollectionInfo | None, *, deep: bool) -> Probe:
    """Find the model that a search would use.

    Args:
        collection: the collection searched by default, or None where it is not known.
        deep: also load it and encode a text, which takes seconds.
    """
    name = settings.model
    if collection and settings.is_default("model"):
        name = collection.model

    def work(notes: Notes) -> None:
        notes.version = name
        try:
            found = model_selection.model_for(settings, collection, download=False)
            notes.reason = f"{found.family}, {found.dimension} numbers"
            if deep:
                _encode(settings, found)
        except ClipstackError as error:
            raise UnwellError(ProbeStatus.DEGRADED, error.message, error.hint) from None

    return look("model", name, work)


def _encode(settings: Settings, found: ModelInfo) -> None:
    import numpy as np

    vectors = model_selection.encoder_for(settings, found).encode_texts([_TEXT])
    if vectors.shape != (1, found.dimension) or not np.isfinite(vectors).all():
        raise UnwellError(ProbeStatus.DEGRADED, "its vector is not one of finite numbers")
