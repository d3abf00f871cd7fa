"""Encoders: pixels or text in, embeddings out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from clipstack.events import SILENT, Events

if TYPE_CHECKING:
    from clipstack.encoders.base import LocalEncoder, ModelInfo
    from clipstack.encoders.remote.encoder import RemoteEncoder
    from clipstack.retry import RetryPolicy


def load(
    model: str | ModelInfo,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    download: bool = False,
    events: Events = SILENT,
) -> LocalEncoder:
    """Load a model into an engine of this process; heavy imports happen here.

    Args:
        model: a name as for `catalog.resolve`, or what `catalog.describe` returned.
        device: "auto" (CUDA, then MPS, then CPU) or a PyTorch device such as "cuda:1".
        engine: one of ENGINES; "auto" is OpenVINO on x86 CPUs and PyTorch on all else.
        precision: "auto", "fp32", "bf16" (CPUs that have it), "fp16" (CUDA) or "int8" (where
            one was accepted; see `openvino/int8_store.py`).
        download: for a name, fetch a hub's model that is not in the cache.
        events: reports what takes a while.

    Raises:
        PrerequisiteError: the model is missing, incomplete or not a dual encoder; the engine,
            device or precision is not available here.
        NotFoundError, UsageError: as `catalog.resolve`.
    """
    from clipstack.encoders.choice import choose
    from clipstack.encoders.models.catalog import describe, resolve

    info = describe(resolve(model, download=download)) if isinstance(model, str) else model
    if info.quantized_from or precision == "int8":
        info, engine = int8(info, engine), "openvino"
    if choose(engine, device) == "openvino":
        from clipstack.encoders.openvino.encoder import OpenVinoEncoder

        return OpenVinoEncoder(info, precision, events)
    from clipstack.encoders.torch.encoder import TorchEncoder

    return TorchEncoder(info, device=device, precision=precision)


def int8(model: ModelInfo, engine: str = "auto", fingerprint: str = "") -> ModelInfo:
    """The model with its int8 image tower: that of `fingerprint` if it is here, else the newest.

    Raises:
        PrerequisiteError: none was accepted on this machine.
        UsageError: another engine than OpenVINO was asked for.
    """
    from clipstack.encoders.openvino.int8_store import require
    from clipstack.errors import UsageError

    if engine not in ("auto", "openvino"):
        raise UsageError("int8 is OpenVINO's", hint="Use `--engine auto`, or another --precision.")
    return require(model, fingerprint)


def connect(
    urls: tuple[str, ...],
    token: str = "",
    *,
    model: ModelInfo | None = None,
    fingerprint: str = "",
    retry_policy: RetryPolicy | None = None,
) -> RemoteEncoder:
    """Running services as an encoder.

    Args:
        urls: of one service or several.
        token: the token that they ask for, or "".
        model: the model that they must serve. They answered before, so `retry_policy` applies
            to the first answer too.
        fingerprint: of the model that is preferred where they have different ones.
        retry_policy: how long to go on when none of them answers.

    Raises:
        UsageError, UnreachableError: as `remote.RemoteEncoder`.
        ClipstackError: they have different models, or another now than `model`.
    """
    from clipstack.encoders.remote.encoder import RemoteEncoder
    from clipstack.errors import ClipstackError

    if model is None:
        return RemoteEncoder(urls, token, fingerprint=fingerprint, retry_policy=retry_policy)
    encoder = RemoteEncoder(
        urls,
        token,
        fingerprint=model.fingerprint,
        retry_policy=retry_policy,
        first_patience=math.inf,
    )
    if encoder.info.fingerprint != model.fingerprint:
        encoder.close(report=False)
        raise ClipstackError(
            f"the service at {' '.join(urls)} has another model now than when this began",
            hint="Run this command again.",
        )
    return encoder
