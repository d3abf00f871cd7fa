"""The encoder whose model runs in services elsewhere (`clipstack serve`)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.remote.client import EncoderClient, UnavailableError, checked_url
from clipstack.encoders.remote.pool import Call, EncoderPool
from clipstack.encoders.validation import check_pixels, check_texts
from clipstack.errors import ClipstackError, UsageError
from clipstack.retry import Backoff, InterruptError, RetryPolicy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RemoteEncoder", "checked_url"]

_PICTURES_PER_REQUEST = 8
_TEXTS_PER_REQUEST = 64
_BACKOFF = Backoff(longest=math.inf)  # the deadline ends it

Served = tuple[ModelInfo, int]
"""The model of a service, and the most items it takes in one request."""


class RemoteEncoder:
    """An `Encoder` (see base.py) behind HTTP.

    Args:
        urls: of the services, such as "http://host:3000".
        token: the token that they ask for, or "".
        retry_policy: how long to go on when none of them answers any more; 60 s by default.
        first_patience: seconds to go on until a first one answers.

    Raises:
        UsageError: a URL is not valid.
        UnreachableError: no service answers, or one refuses the token.
        ClipstackError: one is not a service of clipstack's, or they have different models.
    """

    engine = "remote"

    def __init__(
        self,
        urls: tuple[str, ...],
        token: str = "",
        *,
        retry_policy: RetryPolicy | None = None,
        first_patience: float = 3.0,
    ) -> None:
        if not urls:
            raise UsageError("there is no URL of a service")
        clients = [EncoderClient(url, token) for url in dict.fromkeys(urls)]
        retry_policy = retry_policy or RetryPolicy(60)
        served = _ask_all(clients, first_patience, retry_policy.stop)
        self._info = _same_model(served)
        self._max_items = min(max_items for _, max_items in served.values())
        self._pool = EncoderPool(clients, retry_policy)

    @property
    def info(self) -> ModelInfo:
        """The model of the services; its `folder` is empty, as it is not on this machine."""
        return self._info

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            UnreachableError: no service can be reached any more.
            ClipstackError: all of them refuse, fail, or have another model now.
        """
        check_pixels(pixels, self._info)
        size = min(_PICTURES_PER_REQUEST, self._max_items)
        return self._gather([partial(_images, part, self._info) for part in _parts(pixels, size)])

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
        size = min(_TEXTS_PER_REQUEST, self._max_items)
        return self._gather([partial(_texts, part, self._info) for part in _parts(texts, size)])

    def _gather(self, calls: Sequence[Call]) -> NDArray[np.float32]:
        import numpy as np

        parts = self._pool.run(calls)
        return np.concatenate([np.empty((0, self._info.dimension), np.float32), *parts])


def _images(
    pixels: NDArray[np.uint8], model: ModelInfo, client: EncoderClient
) -> NDArray[np.float32]:
    return client.images(pixels, model)


def _texts(texts: Sequence[str], model: ModelInfo, client: EncoderClient) -> NDArray[np.float32]:
    return client.texts(texts, model)


def _parts(items: Any, size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _ask_all(
    clients: Sequence[EncoderClient], patience: float, stop: threading.Event
) -> dict[str, Served]:
    """What each service that answers serves, by its URL; at least one does."""
    with ThreadPoolExecutor(len(clients)) as threads:
        answers = list(threads.map(partial(_ask, patience=patience, stop=stop), clients))
    errors = [answer for answer in answers if isinstance(answer, ClipstackError)]
    if errors:
        raise errors[0]
    served = {c.url: a for c, a in zip(clients, answers, strict=True) if isinstance(a, tuple)}
    if not served:
        raise next(a.reason for a in answers if isinstance(a, UnavailableError)) from None
    return served


def _ask(
    client: EncoderClient, patience: float, stop: threading.Event
) -> Served | UnavailableError | ClipstackError:
    started = time.monotonic()
    for attempt in count():
        try:
            return client.model()
        except UnavailableError as error:
            pause = max(error.retry_after, _BACKOFF.pause(attempt))
            # A busy service is there, and will have time.
            seconds = max(60.0, patience) if error.busy else patience
            if time.monotonic() + pause > started + seconds:
                return error
            if stop.wait(pause):
                return InterruptError()
        except ClipstackError as error:
            return error
    raise AssertionError  # `count` does not end


def _same_model(served: dict[str, Served]) -> ModelInfo:
    """The model that all services have.

    Args:
        served: by URL.

    Raises:
        ClipstackError: they have different ones; the message names the odd one out.
    """
    by_fingerprint: dict[str, list[str]] = {}
    for url, (model, _) in served.items():
        by_fingerprint.setdefault(model.fingerprint, []).append(url)
    majority = max(by_fingerprint.values(), key=len)
    if len(by_fingerprint) > 1:
        odd = next(urls[0] for urls in by_fingerprint.values() if urls is not majority)
        usual_model, odd_model = served[majority[0]][0], served[odd][0]
        raise ClipstackError(
            f"the encoders have different models: {odd} has {odd_model.name} "
            f"({odd_model.fingerprint[:12]}), {majority[0]} has {usual_model.name} "
            f"({usual_model.fingerprint[:12]})",
            hint="Their vectors can't be compared. Serve one model, or name only services alike "
            "in encoder_url.",
        )
    return served[majority[0]][0]
