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
_MODEL_SECONDS = 10.0
_TEMPORARY = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed."""
_START = "Start it with `clipstack serve`, or leave out --encoder-url to encode in this process."


class UnavailableError(Exception):
    """A service can't be reached or is busy: the same request may succeed later, or elsewhere.

    Attributes:
        reason: the error to show if nothing else helps.
        retry_after: seconds that the service asked to wait.
        connected: whether anything took the connection.
    """

    def __init__(
        self, reason: ClipstackError, retry_after: float = 0.0, *, connected: bool = True
    ) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.retry_after = retry_after
        self.connected = connected


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
        self.url = checked_url(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = self._new_client()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def reconnect(self) -> None:
        """Send what follows over new connections; requests that hang keep theirs."""
        self._client = self._new_client()

    def _new_client(self) -> httpx.Client:
        import httpx

        from clipstack import http_client

        return http_client.new_client(
            headers=self._headers,
            timeout=httpx.Timeout(120.0, connect=5.0),
            # uvicorn closes connections that are idle for 5 s; a request sent just then would fail.
            limits=httpx.Limits(max_connections=MAX_REQUESTS + 1, keepalive_expiry=3.0),
        )

    def model(self) -> tuple[ModelInfo, int]:
        """The model that the service serves, and the most items it takes in one request.

        Raises:
            UnavailableError: the service can't be reached, or is busy.
            UnreachableError: it refuses the token.
            ClipstackError: it is not a service of clipstack's.
        """
        response = self._send("GET", "/model", timeout=_MODEL_SECONDS)
        try:
            document = response.json()
            return _model_info(document), int(document["limits"]["items"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _not_ours(self.url) from error

    def is_alive(self) -> bool:
        """Whether the service answers at all, however busy it is."""
        import httpx

        from clipstack import http_client

        try:
            with http_client.new_client(timeout=_PROBE_SECONDS) as client:
                response = client.get(f"{self.url}/livez")
        except httpx.HTTPError:
            return False
        return response.status_code not in (502, 504)

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
        fingerprint = response.headers.get("Clipstack-Fingerprint")
        if fingerprint is None:  # such as a gateway's page about maintenance
            raise UnavailableError(_not_ours(self.url))
        if fingerprint != model.fingerprint:
            raise ClipstackError(
                f"the service at {self.url} has another model now than when this began",
                hint="Start it with the former model again, or run this command again.",
            )
        failed_item = response.headers.get("Clipstack-Failed")
        if failed_item:
            raise ClipstackError(f"the service at {self.url} could not encode item {failed_item}")
        size = count * model.dimension * 4
        if len(response.content) != size:
            raise UnavailableError(
                UnreachableError(
                    f"the service at {self.url} answered {len(response.content)} bytes, not {size}"
                )
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
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise UnavailableError(_unreachable(self.url, error), connected=False) from None
        except httpx.TimeoutException:
            raise UnavailableError(silence(self.url)) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
                raise _unreachable(self.url, error) from None
            raise UnavailableError(_broken_off(self.url, error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            raise _unreachable(self.url, error) from None
        self._check(response)
        return response

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise UnreachableError(
                f"the service at {self.url} does not accept the token"
                if self._headers
                else f"the service at {self.url} asks for a token",
                hint="Put it into CLIPSTACK_ENCODER_TOKEN.",
            )
        if status == 404:
            raise ClipstackError(f"{self.url} is no service of clipstack's", hint=_START)
        reason = _reason(response)
        # The service itself says in JSON why it failed; any other 500 is a gateway's.
        if status in _TEMPORARY or status > 500 or (status == 500 and not reason):
            raise UnavailableError(
                _temporary(self.url, response, reason),
                _seconds(response.headers.get("Retry-After", "")),
            )
        error_type = InvalidRequestError if status in (400, 413, 415, 422) else ClipstackError
        raise error_type(
            f"the service at {self.url} answered {status}: {reason or _phrase(response)}",
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


def silence(url: str) -> UnreachableError:
    """The error for a service that takes a request and does not answer."""
    return UnreachableError(
        f"the service at {url} does not answer", hint="`clipstack health` says how it is."
    )


def _unreachable(url: str, error: Exception) -> UnreachableError:
    return UnreachableError(f"no service can be reached at {url}: {_detail(error)}", hint=_START)


def _broken_off(url: str, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"the service at {url} broke off the connection: {_detail(error)}",
        hint="`clipstack health` says how it is.",
    )


def _not_ours(url: str) -> ClipstackError:
    return ClipstackError(f"{url} answers, but not as a service of clipstack's does", hint=_START)


def _temporary(url: str, response: httpx.Response, reason: str) -> UnreachableError:
    if response.status_code == 503 and reason:
        return UnreachableError(
            f"the service at {url} is busy: {reason}",
            hint="Try again later, or give it more workers.",
        )
    return UnreachableError(
        f"the service at {url} answered {response.status_code}: {reason or _phrase(response)}",
        hint="`clipstack health` says how it is; a gateway before it may know more.",
    )


def _detail(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _reason(response: httpx.Response) -> str:
    """The error that the service gives as JSON; "" for another body."""
    try:
        return str(response.json()["error"])
    except (ValueError, LookupError, TypeError):
        return ""


def _phrase(response: httpx.Response) -> str:
    return response.reason_phrase or "no reason given"


def _seconds(header: str) -> float:
    """The seconds of a Retry-After header; its other form, a date, is left out."""
    return min(float(header), _LONGEST_RETRY_AFTER) if header.isdecimal() else 0.0
