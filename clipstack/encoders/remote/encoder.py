"""The encoder whose model runs in services elsewhere (`clipstack serve`)."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.remote.client import EncoderClient, checked_url
from clipstack.encoders.remote.pool import EncoderPool
from clipstack.encoders.remote.service import Call
from clipstack.encoders.validation import check_pixels, check_texts
from clipstack.errors import UsageError
from clipstack.retry import RetryPolicy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RemoteEncoder", "checked_url"]

_PICTURES_PER_REQUEST = 8
_TEXTS_PER_REQUEST = 64


class RemoteEncoder:
    """An `Encoder` (see base.py) behind HTTP.

    Args:
        urls: of the services, such as "http://host:3000".
        token: the token that they ask for, or "".
        fingerprint: of the model that is wanted; services with another are left out if there is
            one that has it. "" for the model that all of them have.
        retry_policy: how long to go on when none of them answers; 60 s by default.
        first_patience: seconds to go on if nothing takes connections at first.

    Raises:
        UsageError: a URL is not valid.
        UnreachableError: no service answers, or all refuse the token.
        ClipstackError: none is a service of clipstack's, or they have different models.
    """

    engine = "remote"

    def __init__(
        self,
        urls: tuple[str, ...],
        token: str = "",
        *,
        fingerprint: str = "",
        retry_policy: RetryPolicy | None = None,
        first_patience: float = 3.0,
    ) -> None:
        if not urls:
            raise UsageError("there is no URL of a service")
        clients = [EncoderClient(url, token) for url in dict.fromkeys(urls)]
        self._pool = EncoderPool(clients, retry_policy or RetryPolicy(60))
        weakref.finalize(self, self._pool.close, report=False).atexit = False
        try:
            self._info = self._pool.connect(fingerprint, first_patience)
        except BaseException:
            self._pool.close(report=False)
            raise

    @property
    def info(self) -> ModelInfo:
        """The model of the services; its `folder` is empty, as it is not on this machine."""
        return self._info

    def close(self, *, report: bool = True, linger: float = 0.0) -> None:
        """Close the connections.

        Args:
            report: whether to report services that were left out and not reported yet.
            linger: seconds since the beginning that services have for their first answer.
        """
        self._pool.close(report=report, linger=linger)

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            UnreachableError: no service can be reached any more.
            ClipstackError: all of them refuse, fail, or have another model now.
        """
        check_pixels(pixels, self._info)
        size = min(_PICTURES_PER_REQUEST, self._pool.max_items)
        calls = [partial(_images, part, self._info) for part in _parts(pixels, size)]
        return self._gather(calls, "images", min(size, len(pixels)))

    def warm_up(self) -> None:
        """Do nothing: the services have their models loaded."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension]; what exceeds the context length is cut off.

        Raises:
            TypeError: `texts` is a single text.
            UnreachableError: no service can be reached any more.
            ClipstackError: a text is refused, or all of them fail or have another model now.
        """
        check_texts(texts)
        size = min(_TEXTS_PER_REQUEST, self._pool.max_items)
        calls = [partial(_texts, part, self._info) for part in _parts(texts, size)]
        return self._gather(calls, "texts", min(size, len(texts)))

    def _gather(self, calls: Sequence[Call], kind: str, size: int) -> NDArray[np.float32]:
        import numpy as np

        parts = self._pool.run(calls, kind, size)
        return np.concatenate([np.empty((0, self._info.dimension), np.float32), *parts])


def _images(
    pixels: NDArray[np.uint8], model: ModelInfo, client: EncoderClient
) -> NDArray[np.float32]:
    return client.images(pixels, model)


def _texts(texts: Sequence[str], model: ModelInfo, client: EncoderClient) -> NDArray[np.float32]:
    return client.texts(texts, model)


def _parts(items: Any, size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]
