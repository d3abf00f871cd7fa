"""Pixels or texts in, vectors out, by a running service (`clipstack serve`).

Pictures travel as the pixels the model reads, uint8 in NumPy's .npy format. They are decoded here
as they would be for an engine in this process, so the vectors are the same to the bit whatever
the service's version of a decoder does. 224 x 224 pixels are 147 KiB, less than most photographs,
and cost neither side a codec; PNG would save a third of that and take longer than encoding on a
GPU. A file's own bytes would move the decoding to the service, which is what /vectorize is for.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.errors import ClipstackError, UnreachableError, UsageError
from clipstack.images.geometry import Geometry

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

_PICTURES_AT_ONCE = 8
_TEXTS_AT_ONCE = 64
_IN_FLIGHT = 4
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
_LONGEST_RETRY_AFTER = 60.0
_START = "Start it with `clipstack serve`, or leave out --encoder-url to encode in this process."


class RemoteEncoder:
    """An `Encoder` (see base.py) behind HTTP.

    Args:
        url: of the service, "http://host:3000".
        token: what it asks for, or "".
        patience: seconds to go on trying after the connection was lost or the service was busy.
        first_patience: the same where nobody has ever answered.

    Raises:
        UsageError: no such URL can be.
        UnreachableError: no service answers there, or it refuses the token.
        ClipstackError: what answers is no service of clipstack's.
    """

    engine = "remote"

    def __init__(
        self, url: str, token: str = "", *, patience: float = 60.0, first_patience: float = 3.0
    ) -> None:
        import httpx

        self.url = checked_url(url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(120.0, connect=5.0),
            # uvicorn closes what is idle for 5 s; whoever sends just then loses the connection.
            limits=httpx.Limits(max_connections=_IN_FLIGHT, keepalive_expiry=3.0),
        )
        self._patience = patience
        self._lost_patience = first_patience
        self._senders = ThreadPoolExecutor(_IN_FLIGHT, "send")
        self._info = self._ask_model()
        self._lost_patience = patience

    @property
    def info(self) -> ModelInfo:
        """The model behind the vectors; its folder is not on this machine, so it is empty."""
        return self._info

    def close(self) -> None:
        """Close the connections."""
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            UnreachableError: the service can't be reached any more.
            ClipstackError: it refused, failed, or has another model now.
        """
        expected = (*self._info.geometry.shape, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != "uint8":
            raise ValueError(
                f"pixels must be uint8 of shape (n, {', '.join(map(str, expected))}), "
                f"not {pixels.dtype} of {pixels.shape}"
            )
        size = min(_PICTURES_AT_ONCE, self._most)
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        return self._gather("/vectorize_images", batches, _npy)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension]; what exceeds the context length is cut off.

        Raises:
            TypeError: a text alone, not a sequence of them.
            UnreachableError: the service can't be reached any more.
            ClipstackError: it refused a text, failed, or has another model now.
        """
        if isinstance(texts, str):
            raise TypeError("encode_texts takes a sequence of texts, not one text")
        size = min(_TEXTS_AT_ONCE, self._most)
        batches = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
        return self._gather("/vectorize_texts", batches, _json)

    def _ask_model(self) -> ModelInfo:
        stop = threading.Event()
        response = self._send("GET", "/model", stop)
        try:
            facts = response.json()
            self._most = int(facts["limits"]["items"])
            return _model_info(facts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ClipstackError(
                f"{self.url} answers, but not as a service of clipstack's does", hint=_START
            ) from error

    def _gather(
        self,
        path: str,
        batches: Sequence[Any],
        packed: Callable[[Any], tuple[str, bytes]],
    ) -> NDArray[np.float32]:
        import numpy as np

        stop = threading.Event()
        work = [self._senders.submit(self._vectors, path, b, packed, stop) for b in batches]
        try:
            parts = [future.result() for future in work]
        except BaseException:
            stop.set()
            for future in work:
                future.cancel()
            raise
        return np.concatenate([np.empty((0, self._info.dimension), np.float32), *parts])

    def _vectors(
        self,
        path: str,
        batch: Any,
        packed: Callable[[Any], tuple[str, bytes]],
        stop: threading.Event,
    ) -> NDArray[np.float32]:
        import numpy as np

        kind, body = packed(batch)
        headers = {"Content-Type": kind, "Accept": "application/octet-stream"}
        response = self._send("POST", path, stop, content=body, headers=headers)
        self._check_model(response)
        failed = response.headers.get("Clipstack-Failed")
        if failed:
            raise ClipstackError(f"the service at {self.url} could not encode item {failed}")
        size = len(batch) * self._info.dimension * 4
        if len(response.content) != size:
            raise ClipstackError(
                f"the service at {self.url} answered {len(response.content)} bytes, not {size}"
            )
        vectors = np.frombuffer(response.content, "<f4").astype(np.float32)
        if not np.isfinite(vectors).all():
            raise ClipstackError(f"the service at {self.url} gave a vector that is not finite")
        return vectors.reshape(len(batch), self._info.dimension)

    def _check_model(self, response: httpx.Response) -> None:
        if response.headers.get("Clipstack-Fingerprint") != self._info.fingerprint:
            raise ClipstackError(
                f"the service at {self.url} has another model now than when this began",
                hint="Start it with the former model again, or run this command again.",
            )

    def _send(
        self, method: str, path: str, stop: threading.Event, **request: Any
    ) -> httpx.Response:
        """One request, sent again while the connection fails or the service is busy.

        Only that is worth repeating: any other answer would be the same the next time.
        """
        import httpx

        began = time.monotonic()
        pause = _FIRST_PAUSE
        while True:
            asked, patience = 0.0, self._lost_patience
            try:
                response = self._client.request(method, self.url + path, **request)
            except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
                problem: ClipstackError = _unreachable(self.url, error)
            except httpx.TimeoutException:
                raise UnreachableError(
                    f"the service at {self.url} did not answer in time", hint=_START
                ) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _unreachable(self.url, error) from None
            else:
                if response.status_code != 503:
                    self._check(response)
                    return response
                problem = UnreachableError(
                    f"the service at {self.url} is busy: {_reason(response)}",
                    hint="Try again later, or give it more workers.",
                )
                asked = _seconds(response.headers.get("Retry-After", ""))
                patience = self._patience
            # Spread out, so that many callers do not come back at the same moment.
            wait = max(asked, pause * random.uniform(0.5, 1.0))
            if time.monotonic() + wait > began + patience or stop.wait(wait):
                raise problem
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise UnreachableError(
                f"the service at {self.url} does not accept the token"
                if "Authorization" in self._client.headers
                else f"the service at {self.url} asks for a token",
                hint="Put it into CLIPSTACK_ENCODER_TOKEN.",
            )
        if status == 404:
            raise ClipstackError(f"{self.url} is no service of clipstack's", hint=_START)
        raise ClipstackError(
            f"the service at {self.url} answered {status}: {_reason(response)}",
            hint="Its log says more." if status >= 500 else "",
        )


def checked_url(url: str) -> str:
    """A service's URL without a slash at its end.

    Raises:
        UsageError: it is none.
    """
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query:
        raise UsageError(
            f"{url!r} is not the URL of a service", hint="Try --encoder-url http://127.0.0.1:3000."
        )
    return str(parsed).rstrip("/")


def _model_info(facts: dict[str, Any]) -> ModelInfo:
    geometry = facts["geometry"]
    crop = geometry["crop"]
    return ModelInfo(
        name=str(facts["id"]),
        revision=str(facts["revision"]),
        fingerprint=str(facts["fingerprint"]),
        dimension=int(facts["dimension"]),
        family=str(facts["family"]),
        geometry=Geometry(
            resize="exact" if geometry["resize"] == "exact" else "shortest",
            size=(int(geometry["size"][0]), int(geometry["size"][1])),
            crop=(int(crop[0]), int(crop[1])) if crop else None,
            resample=int(geometry["resample"]),
        ),
        context_length=int(facts["limits"]["tokens"]),
        folder=Path(),
    )


def _npy(pixels: NDArray[np.uint8]) -> tuple[str, bytes]:
    import numpy as np

    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(pixels), (1, 0), allow_pickle=False)
    return "application/x-npy", out.getvalue()


def _json(texts: Sequence[str]) -> tuple[str, bytes]:
    import json

    return "application/json", json.dumps(texts).encode("ascii")


def _unreachable(url: str, error: Exception) -> UnreachableError:
    detail = " ".join(str(error).split()) or type(error).__name__
    return UnreachableError(f"no service can be reached at {url}: {detail}", hint=_START)


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase or "no reason given"


def _seconds(header: str) -> float:
    """Retry-After in seconds; its other form, a date, is not used by the service."""
    return min(float(header), _LONGEST_RETRY_AFTER) if header.isdecimal() else 0.0
