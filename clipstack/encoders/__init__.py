"""Pixels or text in, embeddings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder, ModelInfo


def load(model: str | ModelInfo, *, device: str = "auto", download: bool = False) -> Encoder:
    """Load a model into an engine of this process; heavy imports happen here.

    Args:
        model: a name as for `models.resolve`, or what `models.describe` returned.
        device: "auto" (CUDA, then MPS, then CPU) or a PyTorch device such as "cuda:1".
        download: for a name, fetch a hub's model that is not in the cache.

    Raises:
        PrerequisiteError: the model is missing, incomplete or not a dual encoder.
        NotFoundError, UsageError: as `models.resolve`.
    """
    from clipstack.encoders.models import describe, resolve

    info = describe(resolve(model, download=download)) if isinstance(model, str) else model
    from clipstack.encoders.torch_engine import TorchEncoder

    return TorchEncoder(info, device=device)
