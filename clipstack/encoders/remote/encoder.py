"""Pixels or texts in, vectors out, by one running service or several alike (`clipstack serve`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.remote.client import AwayError, EncoderClient, checked_url
from clipstack.encoders.remote.pool import Call, EncoderPool
from clipstack.encoders.validation import check_pixels, check_texts
from clipstack.errors import ClipstackError, UsageError
from clipstack.retry import InterruptError, RetryPolicy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RemoteEncoder", "checked_url"]

_PICTURES_AT_ONCE = 8
_TEXTS_AT_ONCE = 64
_FIRST_PAUSE = 0.25

Known = tuple[ModelInfo, int]


class RemoteEncoder:
    """An `Encoder` (see base.py) behind HTTP.

    Args:
        urls: of the services, "http://host:3000", with spaces between them.
        token: what they ask for, or "".
        patience: how long to go on when none of them answers any more; 60 s by default.
        first_patience: seconds to go on where nobody has ever answered.

    Raises:
        UsageError: no such URL can be.
        UnreachableError: no service answers, or one refuses the token.
        ClipstackError: what answers is no service of clipstack's, or they have different models.
    """

    engine = "remote"

    def __init__(
        self,
        urls: str,
        token: str = "",
        *,
        patience: RetryPolicy | float = 60.0,
        first_patience: float = 3.0,
    ) -> None:
        if not urls.split():
            raise UsageError("there is no URL of a service")
        services = [EncoderClient(url, token) for url in dict.fromkeys(urls.split())]
        given = patience if isinstance(patience, RetryPolicy) else RetryPolicy(patience)
        known = _known(services, first_patience, given.stop)
        self._info = _same_model(known)
        self._most = min(most for _, most in known.values())
        self._fleet = EncoderPool(services, given)

    @property
    def info(self) -> ModelInfo:
        """The model behind the vectors; its folder is not on this machine, so it is empty."""
        return self._info

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            UnreachableError: no service can be reached any more.
            ClipstackError: all of them refused, failed, or have another model now.
        """
        check_pixels(pixels, self._info)
        size = min(_PICTURES_AT_ONCE, self._most)
        return self._gather([partial(_images, part, self._info) for part in _parts(pixels, size)])

    def warm_up(self) -> None:
        """Nothing to do: the services have their models loaded."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension]; what exceeds the context length is cut off.

        Raises:
            TypeError: a text alone, not a sequence of them.
            UnreachableError: no service can be reached any more.
            ClipstackError: a text was refused, or all failed, or have another model now.
        """
        check_texts(texts)
        size = min(_TEXTS_AT_ONCE, self._most)
        return self._gather([partial(_texts, part, self._info) for part in _parts(texts, size)])

    def _gather(self, calls: Sequence[Call]) -> NDArray[np.float32]:
        import numpy as np

        parts = self._fleet.run(calls)
        return np.concatenate([np.empty((0, self._info.dimension), np.float32), *parts])


def _images(
    pixels: NDArray[np.uint8], model: ModelInfo, service: EncoderClient
) -> NDArray[np.float32]:
    return service.images(pixels, model)


def _texts(texts: Sequence[str], model: ModelInfo, service: EncoderClient) -> NDArray[np.float32]:
    return service.texts(texts, model)


def _parts(items: Any, size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _known(
    services: Sequence[EncoderClient], patience: float, stop: threading.Event
) -> dict[str, Known]:
    """What each service that answers serves, by its URL; at least one does."""
    with ThreadPoolExecutor(len(services)) as askers:
        answers = list(askers.map(partial(_ask, patience=patience, stop=stop), services))
    known = {s.url: a for s, a in zip(services, answers, strict=True) if isinstance(a, tuple)}
    errors = [answer for answer in answers if isinstance(answer, ClipstackError)]
    if errors:
        raise errors[0]
    if not known:
        raise next(answer.problem for answer in answers if isinstance(answer, AwayError)) from None
    return known


def _ask(
    service: EncoderClient, patience: float, stop: threading.Event
) -> Known | AwayError | ClipstackError:
    began, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            return service.model()
        except AwayError as away:
            wait = max(away.asked, pause)
            # One that is busy is there, and will have time.
            if time.monotonic() + wait > began + (max(60.0, patience) if away.busy else patience):
                return away
            if stop.wait(wait):
                return InterruptError()
        except ClipstackError as error:
            return error
        pause *= 2


def _same_model(known: dict[str, Known]) -> ModelInfo:
    """The model that all services have.

    Raises:
        ClipstackError: they have different ones; names the odd one out.
    """
    by_fingerprint: dict[str, list[str]] = {}
    for url, (model, _) in known.items():
        by_fingerprint.setdefault(model.fingerprint, []).append(url)
    usual = max(by_fingerprint.values(), key=len)
    if len(by_fingerprint) > 1:
        odd = next(urls[0] for urls in by_fingerprint.values() if urls is not usual)
        theirs, its = known[usual[0]][0], known[odd][0]
        raise ClipstackError(
            f"the encoders have different models: {odd} has {its.name} ({its.fingerprint[:12]}), "
            f"{usual[0]} has {theirs.name} ({theirs.fingerprint[:12]})",
            hint="Their vectors can't be compared. Serve one model, or name only services alike "
            "in encoder_url.",
        )
    return known[usual[0]][0]
