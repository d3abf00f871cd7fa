"""HTTP requests with one bound of time in; answers, or what is wrong in words, out."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clipstack.health.probes.result import ProbeStatus, UnwellError

if TYPE_CHECKING:
    import httpx

_LEAST = 0.05


class Asker(AbstractContextManager["Asker"]):
    """Requests to one service, all of them within `seconds`; a context manager.

    Args:
        url: of the service.
        seconds: for all requests together.
        proxies: whether HTTP_PROXY and its like count; never for this machine's own services.
    """

    def __init__(self, url: str, seconds: float, *, proxies: bool = False) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        # Making a context for TLS takes 50 ms.
        secure = self.url.startswith("https:")
        self._client = httpx.Client(verify=secure, trust_env=proxies)

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer to one request, whatever its status.

        Raises:
            UnwellError: there was none.
        """
        import httpx

        left = max(_LEAST, self._until - time.monotonic())
        where = urlsplit(self.url).netloc
        try:
            return self._client.request(method, self.url + path, timeout=left, **request)
        except httpx.ConnectTimeout:
            raise UnwellError(
                ProbeStatus.DOWN, f"no answer from {where} {within(self._seconds)}"
            ) from None
        except httpx.TimeoutException:
            raise UnwellError(ProbeStatus.DOWN, silent(self._seconds)) from None
        except httpx.ConnectError as error:
            raise UnwellError(ProbeStatus.DOWN, _refused(where, str(error))) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise UnwellError(ProbeStatus.DOWN, f"no answer that can be read: {said}") from None


def silent(seconds: float) -> str:
    """The reason of a service that takes connections and says nothing."""
    return f"it takes connections, but gives no answer {within(seconds)}"


def within(seconds: float) -> str:
    """A bound of time in words; what starting took of it is not worth telling."""
    return f"within {seconds:.0f} s" if seconds >= 2 else f"within {seconds:.1f} s"


def _refused(where: str, said: str) -> str:
    if "refused" in said.lower():
        return f"nothing listens on {where}"
    return f"{where} can't be reached: {' '.join(said.split())}"


def document(response: httpx.Response) -> dict[str, Any]:
    """A response's JSON object; an empty one where it has none."""
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
