"""Fetching of pictures by URL, within limits of size, time and redirects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clipstack.errors import (
    ClipstackError,
    ImageError,
    NotFoundError,
    Reason,
    UnreachableError,
    UsageError,
)
from clipstack.search.query import without_secret

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 64 * 2**20
MAX_REDIRECTS = 5
SECONDS = 30.0
_SILENCE_SECONDS = 10.0
_GONE = (404, 410)


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The bytes at `url`, which may be no picture.

    It connects to any address, also of this machine and its network, so the URL must come from the
    person who runs the command.

    Args:
        max_bytes: limit of the size; MAX_BYTES is one too.
        seconds: limit for everything, redirects included.

    Raises:
        UsageError: it is no http or https URL, or the environment names a proxy that can't be used.
        UnreachableError: the server does not answer, or not in time.
        NotFoundError: there is nothing at the URL.
        ImageError: EMPTY, TOO_LARGE, or UNSUPPORTED: a web page.
        ClipstackError: the server refuses, or redirects too often.
    """
    import httpx

    from clipstack import http_client

    name = without_secret(url)
    # A response that is not compressed can't grow in memory.
    headers = {"Accept": "image/*", "Accept-Encoding": "identity"}
    deadline = time.monotonic() + seconds
    timeout = min(_SILENCE_SECONDS, seconds)
    try:
        with (
            http_client.new_client(timeout=timeout, max_redirects=MAX_REDIRECTS) as client,
            client.stream("GET", url, headers=headers, follow_redirects=True) as response,
        ):
            _check(response, name)
            return _body(response, name, min(max_bytes, MAX_BYTES), deadline)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UsageError(f"{name}: not the URL of a picture ({_text_of(error)})") from None
    except httpx.TooManyRedirects:
        raise ClipstackError(f"{name}: more than {MAX_REDIRECTS} redirects") from None
    except httpx.TimeoutException:
        raise _timeout_error(name) from None
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"{name}: no answer ({_text_of(error)})",
            hint="Or save the picture, and use --image FILE.",
        ) from None


def _check(response: httpx.Response, name: str) -> None:
    status = response.status_code
    if status in _GONE:
        raise NotFoundError(f"{name}: there is nothing (the server answered {status})")
    if status != 200:
        answer = f"{status} {response.reason_phrase}".strip()
        raise ClipstackError(
            f"{name}: the server answered {answer}",
            hint="If it shows the picture to a browser, save it there, and use --image FILE.",
        )
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ClipstackError(f"{name}: the server sends it compressed, unasked")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/html"):
        raise ImageError(name, Reason.UNSUPPORTED, "it is a web page")


def _body(response: httpx.Response, name: str, most: int, deadline: float) -> bytes:
    too_large = ImageError(name, Reason.TOO_LARGE, f"the limit is {most} bytes")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > most:
            raise too_large
        if time.monotonic() > deadline:
            raise _timeout_error(name)
    if not data:
        raise ImageError(name, Reason.EMPTY, "0 bytes")
    return bytes(data)


def _timeout_error(name: str) -> UnreachableError:
    return UnreachableError(
        f"{name}: no answer in time", hint="Or save the picture, and use --image FILE."
    )


def _text_of(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
