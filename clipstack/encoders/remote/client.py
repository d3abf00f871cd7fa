"""A client of one encoder service (`clipstack serve`).

Pictures travel as the pixels that the model reads, uint8 in NumPy's .npy format. They are decoded
here, as for an engine in this process, so the vectors are the same to the bit whatever decoder
version the service has. 224 x 224 pixels are 147 KiB, less than most photographs, and need no codec
on either side; PNG would save a third of that and take longer than encoding on a GPU. Sending the
file's own bytes would move the decoding to the service, which is what /vectorize is for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.errors import ClipstackError, UnreachableError, UsageError
from clipstack.images.geometry import Geometry

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

MAX_REQUESTS = 4
"""Concurrent requests to one service."""

_LONGEST_RETRY_AFTER = 60.0
_PROBE_SECONDS = 5.0
_START = "Start it with `clipstack serve`, or leave out --encoder-url to encode in this process."


class UnavailableError(Exception):
    """A service can't be reached or is busy: the same request may succeed later, or elsewhere.

    Attributes:
        reason: the error to show if nothing else helps.
        retry_after: seconds that the service asked to wait.
        busy: whether the service answered, and has too much to do.
    """

    def __init__(
        self, reason: ClipstackError, retry_after: float = 0.0, *, busy: bool = False
    ) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.retry_after = retry_after
        self.busy = busy


class InvalidRequestError(ClipstackError):
    """The service found the request itself invalid; no other service would take it."""


class EncoderClient:
    """The connections to one service.

    Args:
        url: such as "http://host:3000".
        token: the token that the service asks for, or "".

    Raises:
        UsageError: the URL is not valid.
    """

    def __init__(self, url: str, token: str = "") -> None:
        import httpx

        from clipstack import http_client

        self.url = checked_url(url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = http_client.new_client(
            headers=headers,
            timeout=httpx.Timeout(120.0, connect=5.0),
            # uvicorn closes connections that are idle for 5 s; a request sent just then would fail.
            limits=httpx.Limits(max_connections=MAX_REQUESTS, keepalive_expiry=3.0),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def model(self) -> tuple[ModelInfo, int]:
        """The model that the service serves, and the most items it takes in one request.

        Raises:
            UnavailableError: the service can't be reached, or is busy.
            UnreachableError: it refuses the token.
            ClipstackError: it is not a service of clipstack's.
        """
        response = self._send("GET", "/model", timeout=15.0)
        try:
            document = response.json()
            return _model_info(document), int(document["limits"]["items"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ClipstackError(
                f"{self.url} answers, but not as a service of clipstack's does", hint=_START
            ) from error

    def is_alive(self) -> bool:
        """Whether the service answers at all, however busy it is."""
        import httpx

        from clipstack import http_client

        try:
            with http_client.new_client(timeout=_PROBE_SECONDS) as client:
                client.get(f"{self.url}/livez")
        except httpx.HTTPError:
            return False
        return True

    def images(self, pixels: NDArray[np.uint8], model: ModelInfo) -> NDArray[np.float32]:
        """Vectors of pictures, float32 [n, dimension], by `model`; raises as `model()` does."""
        return self._vectors("/vectorize_images", len(pixels), *_npy(pixels), model)

    def texts(self, texts: Sequence[str], model: ModelInfo) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension], by `model`; raises as `model()` does."""
        return self._vectors("/vectorize_texts", len(texts), *_json(texts), model)

    def _vectors(
        self, path: str, count: int, media_type: str, body: bytes, model: ModelInfo
    ) -> NDArray[np.float32]:
        import numpy as np

        headers = {"Content-Type": media_type, "Accept": "application/octet-stream"}
        response = self._send("POST", path, content=body, headers=headers)
        if response.headers.get("Clipstack-Fingerprint") != model.fingerprint:
            raise ClipstackError(
                f"the service at {self.url} has another model now than when this began",
                hint="Start it with the former model again, or run this command again.",
            )
        failed_item = response.headers.get("Clipstack-Failed")
        if failed_item:
            raise ClipstackError(f"the service at {self.url} could not encode item {failed_item}")
        size = count * model.dimension * 4
        if len(response.content) != size:
            raise ClipstackError(
                f"the service at {self.url} answered {len(response.content)} bytes, not {size}"
            )
        vectors = np.frombuffer(response.content, "<f4").astype(np.float32)
        if not np.isfinite(vectors).all():
            raise ClipstackError(f"the service at {self.url} gave a vector that is not finite")
        return vectors.reshape(count, model.dimension)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send one request. Only an UnavailableError is worth repeating."""
        import httpx

        try:
            response = self._client.request(method, self.url + path, **request)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
            raise UnavailableError(_unreachable(self.url, error)) from None
        except httpx.TimeoutException:
            timeout = UnreachableError(f"the service at {self.url} did not answer in time")
            raise UnavailableError(timeout) from None
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            raise _unreachable(self.url, error) from None
        if response.status_code == 503:
            busy = UnreachableError(
                f"the service at {self.url} is busy: {_reason(response)}",
                hint="Try again later, or give it more workers.",
            )
            retry_after = _seconds(response.headers.get("Retry-After", ""))
            raise UnavailableError(busy, retry_after, busy=True)
        self._check(response)
        return response

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
        error_type = InvalidRequestError if status in (400, 413, 415, 422) else ClipstackError
        raise error_type(
            f"the service at {self.url} answered {status}: {_reason(response)}",
            hint="Its log says more." if status >= 500 else "",
        )


def checked_url(url: str) -> str:
    """A service's URL, checked and without a trailing slash.

    Raises:
        UsageError: the URL is not valid.
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


def _model_info(document: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=str(document["id"]),
        revision=str(document["revision"]),
        fingerprint=str(document["fingerprint"]),
        dimension=int(document["dimension"]),
        family=str(document["family"]),
        geometry=Geometry.from_json(document["geometry"]),
        context_length=int(document["limits"]["tokens"]),
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
    """The seconds of a Retry-After header; the service does not use its other form, a date."""
    return min(float(header), _LONGEST_RETRY_AFTER) if header.isdecimal() else 0.0
