"""The URL of a picture in, its bytes out: within limits of size, time and redirects."""

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
_SILENT_SECONDS = 10.0
_GONE = (404, 410)


def fetch(url: str, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS) -> bytes:
    """The bytes at `url`; whether they are a picture is for the decoder to say.

    It asks whatever address the URL names, this machine's and its network's too, so the URL must
    come from the person who runs the command and from nobody else.

    Args:
        max_bytes: the most to take; never more than MAX_BYTES.
        seconds: for everything, redirects included.

    Raises:
        UsageError: it is no http or https URL.
        UnreachableError: there is no answer, or not in time.
        NotFoundError: there is nothing at the URL.
        ImageError: EMPTY, or TOO_LARGE.
        ClipstackError: the server refuses, or redirects too often.
    """
    import httpx

    name = without_secret(url)
    # What is not compressed on its way can't grow in memory.
    headers = {"Accept": "image/*", "Accept-Encoding": "identity"}
    until = time.monotonic() + seconds
    timeout = min(_SILENT_SECONDS, seconds)
    try:
        with (
            httpx.Client(timeout=timeout, max_redirects=MAX_REDIRECTS) as client,
            client.stream("GET", url, headers=headers, follow_redirects=True) as answer,
        ):
            _require_picture(answer, name)
            return _body(answer, name, min(max_bytes, MAX_BYTES), until)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UsageError(f"{name}: not the URL of a picture ({_said(error)})") from None
    except httpx.TooManyRedirects:
        raise ClipstackError(f"{name}: more than {MAX_REDIRECTS} redirects") from None
    except httpx.TimeoutException:
        raise _late(name) from None
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"{name}: no answer ({_said(error)})",
            hint="Or save the picture, and use --image FILE.",
        ) from None


def _require_picture(answer: httpx.Response, name: str) -> None:
    status = answer.status_code
    if status in _GONE:
        raise NotFoundError(f"{name}: there is nothing (the server answered {status})")
    if status != 200:
        said = f"{status} {answer.reason_phrase}".strip()
        raise ClipstackError(
            f"{name}: the server answered {said}",
            hint="If it shows the picture to a browser, save it there, and use --image FILE.",
        )
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ClipstackError(f"{name}: the server sends it compressed, unasked")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("text/html"):
        raise ImageError(name, Reason.UNSUPPORTED, "it is a web page")


def _body(answer: httpx.Response, name: str, most: int, until: float) -> bytes:
    too_large = ImageError(name, Reason.TOO_LARGE, f"the limit is {most} bytes")
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    data = bytearray()
    for chunk in answer.iter_raw():
        data += chunk
        if len(data) > most:
            raise too_large
        if time.monotonic() > until:
            raise _late(name)
    if not data:
        raise ImageError(name, Reason.EMPTY, "0 bytes")
    return bytes(data)


def _late(name: str) -> UnreachableError:
    return UnreachableError(
        f"{name}: no answer in time", hint="Or save the picture, and use --image FILE."
    )


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
