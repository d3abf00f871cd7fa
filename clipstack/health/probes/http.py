"""HTTP requests of a probe, within a time limit for all of them."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clipstack.errors import UsageError
from clipstack.health.probes.result import ProbeError, ProbeStatus

if TYPE_CHECKING:
    import httpx

_LEAST_SECONDS = 0.05


class ProbeClient(AbstractContextManager["ProbeClient"]):
    """An HTTP client of one service; a context manager.

    Args:
        url: of the service.
        seconds: for all requests together.
    """

    def __init__(self, url: str, seconds: float) -> None:
        from clipstack import http_client

        self.url = url.rstrip("/")
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._client = http_client.new_client()

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The response to one request, whatever its status.

        Raises:
            ProbeError: there was none.
        """
        import httpx

        left = max(_LEAST_SECONDS, self._until - time.monotonic())
        address = urlsplit(self.url).netloc
        try:
            return self._client.request(method, self.url + path, timeout=left, **options)
        except httpx.ConnectTimeout:
            raise ProbeError(
                ProbeStatus.DOWN, f"no answer from {address} {within(self._seconds)}"
            ) from None
        except httpx.TimeoutException:
            raise ProbeError(ProbeStatus.DOWN, silence_reason(self._seconds)) from None
        except httpx.ConnectError as error:
            raise ProbeError(ProbeStatus.DOWN, unreachable_reason(address, str(error))) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ProbeError(ProbeStatus.DOWN, f"no answer that can be read: {reason}") from None
        except UsageError as error:  # of the environment's proxy
            raise ProbeError(ProbeStatus.DOWN, error.message, error.hint) from None


def silence_reason(seconds: float) -> str:
    """The reason for a service that takes connections and does not answer."""
    return f"it takes connections, but gives no answer {within(seconds)}"


def within(seconds: float) -> str:
    """A time limit in words."""
    return f"within {seconds:.0f} s" if seconds >= 2 else f"within {seconds:.1f} s"


def unreachable_reason(address: str, message: str) -> str:
    """The reason for a service that could not be connected to.

    Args:
        message: of the error.
    """
    if "refused" in message.lower():
        return f"nothing listens on {address}"
    return f"{address} can't be reached: {' '.join(message.split())[:200]}"


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response; an empty one if it has none."""
    try:
        content = json.loads(response.content)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
