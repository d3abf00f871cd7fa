"""Pixels or text in, embeddings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clipstack.encoders.base import ModelInfo
    from clipstack.encoders.remote import RemoteEncoder
    from clipstack.encoders.torch_engine import TorchEncoder
    from clipstack.patience import Patience


def load(model: str | ModelInfo, *, device: str = "auto", download: bool = False) -> TorchEncoder:
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


def connect(
    urls: str,
    token: str = "",
    *,
    model: ModelInfo | None = None,
    patience: Patience | None = None,
) -> RemoteEncoder:
    """Running services as an encoder.

    Args:
        urls: of one service, or of several with spaces between them.
        token: what they ask for, or "".
        model: what they must serve; somebody asked them already, so they get `patience` at once.
        patience: how long to go on when none of them answers any more.

    Raises:
        UsageError, UnreachableError: as `remote.RemoteEncoder`.
        ClipstackError: they serve another model by now.
    """
    from clipstack.encoders.remote import RemoteEncoder
    from clipstack.errors import ClipstackError
    from clipstack.patience import Patience

    if patience and model:
        first = patience.seconds
        encoder = RemoteEncoder(urls, token, patience=patience, first_patience=first)
    else:
        encoder = RemoteEncoder(urls, token, patience=patience or Patience(60))
    if model is not None and encoder.info.fingerprint != model.fingerprint:
        encoder.close()
        raise ClipstackError(
            f"the service at {urls} has another model now than when this began",
            hint="Run this command again.",
        )
    return encoder
