"""One request to a service (`clipstack serve`) in; its answer, or why there is none, out.

Pictures travel as the pixels the model reads, uint8 in NumPy's .npy format. They are decoded here
as they would be for an engine in this process, so the vectors are the same to the bit whatever
the service's version of a decoder does. 224 x 224 pixels are 147 KiB, less than most photographs,
and cost neither side a codec; PNG would save a third of that and take longer than encoding on a
GPU. A file's own bytes would move the decoding to the service, which is what /vectorize is for.
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

AT_ONCE = 4
"""Requests to one service that are on their way at the same time."""

_LONGEST_RETRY_AFTER = 60.0
_PROBE_SECONDS = 5.0
_START = "Start it with `clipstack serve`, or leave out --encoder-url to encode in this process."


class AwayError(Exception):
    """A service can't be reached or is busy: the same request may succeed later, or elsewhere.

    Attributes:
        problem: in the user's words.
        asked: seconds the service asked to wait.
        busy: it is there, and has too much to do.
    """

    def __init__(self, problem: ClipstackError, asked: float = 0.0, *, busy: bool = False) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.asked = asked
        self.busy = busy


class RefusedError(ClipstackError):
    """The service found the request itself wrong; no other one would take it."""


class EncoderClient:
    """The connections to one service.

    Args:
        url: "http://host:3000".
        token: what it asks for, or "".

    Raises:
        UsageError: no such URL can be.
    """

    def __init__(self, url: str, token: str = "") -> None:
        import httpx

        self.url = checked_url(url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(120.0, connect=5.0),
            # uvicorn closes what is idle for 5 s; whoever sends just then loses the connection.
            limits=httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=3.0),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def model(self) -> tuple[ModelInfo, int]:
        """What the service serves, and the most items it takes in one request.

        Raises:
            Away: it can't be reached, or is busy.
            UnreachableError: it refuses the token.
            ClipstackError: it is no service of clipstack's.
        """
        response = self._send("GET", "/model", timeout=15.0)
        try:
            facts = response.json()
            return _model_info(facts), int(facts["limits"]["items"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ClipstackError(
                f"{self.url} answers, but not as a service of clipstack's does", hint=_START
            ) from error

    def answers(self) -> bool:
        """Whether the service is there at all, however busy it is; asked beside its other work."""
        import httpx

        try:
            httpx.get(f"{self.url}/livez", timeout=_PROBE_SECONDS)
        except httpx.HTTPError:
            return False
        return True

    def images(self, pixels: NDArray[np.uint8], model: ModelInfo) -> NDArray[np.float32]:
        """Vectors of pictures, by `model` or not at all; raises as `model` does."""
        return self._vectors("/vectorize_images", len(pixels), *_npy(pixels), model)

    def texts(self, texts: Sequence[str], model: ModelInfo) -> NDArray[np.float32]:
        """Vectors of texts, by `model` or not at all; raises as `model` does."""
        return self._vectors("/vectorize_texts", len(texts), *_json(texts), model)

    def _vectors(
        self, path: str, count: int, kind: str, body: bytes, model: ModelInfo
    ) -> NDArray[np.float32]:
        import numpy as np

        headers = {"Content-Type": kind, "Accept": "application/octet-stream"}
        response = self._send("POST", path, content=body, headers=headers)
        if response.headers.get("Clipstack-Fingerprint") != model.fingerprint:
            raise ClipstackError(
                f"the service at {self.url} has another model now than when this began",
                hint="Start it with the former model again, or run this command again.",
            )
        failed = response.headers.get("Clipstack-Failed")
        if failed:
            raise ClipstackError(f"the service at {self.url} could not encode item {failed}")
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
        """One request. Only Away is worth repeating: any other answer would be the same."""
        import httpx

        try:
            response = self._client.request(method, self.url + path, **request)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
            raise AwayError(_unreachable(self.url, error)) from None
        except httpx.TimeoutException:
            late = UnreachableError(f"the service at {self.url} did not answer in time")
            raise AwayError(late) from None
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            raise _unreachable(self.url, error) from None
        if response.status_code == 503:
            busy = UnreachableError(
                f"the service at {self.url} is busy: {_reason(response)}",
                hint="Try again later, or give it more workers.",
            )
            raise AwayError(busy, _seconds(response.headers.get("Retry-After", "")), busy=True)
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
        kind = RefusedError if status in (400, 413, 415, 422) else ClipstackError
        raise kind(
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
    return ModelInfo(
        name=str(facts["id"]),
        revision=str(facts["revision"]),
        fingerprint=str(facts["fingerprint"]),
        dimension=int(facts["dimension"]),
        family=str(facts["family"]),
        geometry=Geometry.of(facts["geometry"]),
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
