"""The model that several services have."""

from __future__ import annotations

from collections.abc import Mapping

from clipstack.encoders.base import ModelInfo
from clipstack.errors import ClipstackError


def majority_model(models: Mapping[str, ModelInfo]) -> ModelInfo:
    """The model that all services have.

    Args:
        models: by the services' URLs, one at least.

    Raises:
        ClipstackError: they have different ones; the message names the odd one out.
    """
    by_fingerprint: dict[str, list[str]] = {}
    for url, model in models.items():
        by_fingerprint.setdefault(model.fingerprint, []).append(url)
    majority = max(by_fingerprint.values(), key=len)
    if len(by_fingerprint) > 1:
        odd = next(urls[0] for urls in by_fingerprint.values() if urls is not majority)
        usual_model, odd_model = models[majority[0]], models[odd]
        raise ClipstackError(
            f"the encoders have different models: {odd} has {odd_model.name} "
            f"({odd_model.fingerprint[:12]}), {majority[0]} has {usual_model.name} "
            f"({usual_model.fingerprint[:12]})",
            hint="Their vectors can't be compared. Serve one model, or name only services alike "
            "in encoder_url.",
        )
    return models[majority[0]]
