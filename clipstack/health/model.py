"""The probe of the model on this machine."""

from __future__ import annotations

from clipstack import model_selection
from clipstack.encoders.base import ModelInfo
from clipstack.errors import ClipstackError
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)
from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings

_TEXT = "a picture of health"


def probe(settings: Settings, collection: CollectionInfo | None, *, deep: bool) -> ProbeResult:
    """Find the model that a search would use.

    Args:
        collection: the collection searched by default, None if it is not known.
        deep: whether to load the model and encode a text, which takes seconds.
    """
    name = settings.model
    if collection and settings.is_default("model"):
        name = collection.model

    def work(notes: ProbeNotes) -> None:
        notes.version = name
        try:
            info = model_selection.model_for(settings, collection, download=False)
            notes.reason = f"{info.family}, {info.dimension} numbers"
            if deep:
                _encode(settings, info)
        except ClipstackError as error:
            raise ProbeError(ProbeStatus.DEGRADED, error.message, error.hint) from None

    return run_probe("model", name, work)


def _encode(settings: Settings, info: ModelInfo) -> None:
    import numpy as np

    vectors = model_selection.encoder_for(settings, info).encode_texts([_TEXT])
    if vectors.shape != (1, info.dimension) or not np.isfinite(vectors).all():
        raise ProbeError(ProbeStatus.DEGRADED, "its vector has numbers that are not finite")
