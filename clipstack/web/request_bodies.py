"""Requests in, their bodies and the pictures or texts inside them out, within every limit."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from clipstack.web.body_limits import BodyLimits
from clipstack.web.error_responses import BusyError, RequestError

NPY = "application/x-npy"
"""Content type of pixels as NumPy's .npy file: uint8 of shape (n, height, width, 3)."""

_SLOWEST = 32 << 10
_LONGEST = 90.0
_MOST_NPY_HEADER = 4096


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body. `kind` is its media type in lower case, or ""; `params` what follows."""

    data: bytes
    kind: str
    params: dict[str, str]


class Bodies:
    """Reads bodies while all that are held together stay within `limits.memory`."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._held = 0

    @contextlib.asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[Body]:
        """The body of a request; its bytes count as held until the context ends.

        Raises:
            RequestError: too large, too slow, cut off, or its caller hung up.
            BusyError: too many bytes are held for others.
        """
        kind, params = content_type(request)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in self._chunks(request):
                size += len(chunk)
                self._held += len(chunk)
                if size > self._limits.max_bytes:
                    raise self._too_large(size)
                if self._held > self._limits.memory:
                    raise BusyError("the service is busy: it holds too many bodies", 2)
                chunks.append(chunk)
            data = b"".join(chunks)
            chunks.clear()
            yield Body(data, kind, params)
        finally:
            self._held -= size

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        """The body as it comes; whoever sends it slower than 32 KiB/s is let go after a while."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.max_bytes:
            raise self._too_large(int(declared))
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.patience
        end = max(until, loop.time() + _LONGEST)
        stream = request.stream()
        try:
            while True:
                async with asyncio.timeout_at(min(until, end)):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                until += len(chunk) / _SLOWEST
                yield chunk
        except TimeoutError:
            raise RequestError(
                408, "too slow", "the body did not arrive in time", {"Connection": "close"}
            ) from None
        except ClientDisconnect:
            raise RequestError(400, "cut off", "the caller hung up") from None

    def _too_large(self, size: int) -> RequestError:
        limit = self._limits.max_bytes
        return RequestError(
            413, "too large", f"the body has {size} bytes or more, the limit is {limit}"
        )


def content_type(request: Request) -> tuple[str, dict[str, str]]:
    """The media type in lower case, or "", and its parameters."""
    kind, params = parse_options_header(request.headers.get("content-type", ""))
    return (
        kind.decode("latin-1").strip().lower(),
        {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in params.items()},
    )


def parts(body: Body, most: int) -> list[bytes]:
    """The files in a multipart body, in order; names do not matter.

    Raises:
        RequestError: it is no multipart body, is cut off, has more than `most` parts, or one that
            is a field of a form (with neither a file name nor a content type) and no file.
    """
    boundary = body.params.get("boundary", "")
    if not boundary or len(boundary) > 200:
        raise RequestError(400, "multipart", "the content type names no boundary")
    found: list[bytearray] = []
    header = bytearray()
    whole = is_file = False

    def begin() -> None:
        nonlocal is_file
        is_file = False
        if len(found) >= most:
            raise RequestError(422, "too many", f"more than {most} parts in one request")
        found.append(bytearray())

    def in_header(data: bytes, start: int, end: int) -> None:
        header.extend(data[start:end])

    def header_end() -> None:
        nonlocal is_file
        line = header.lower()
        is_file = is_file or line.startswith(b"content-type") or b"filename" in line
        header.clear()

    def headers_end() -> None:
        if not is_file:
            raise RequestError(400, "multipart", "every part must be a file")

    def more(data: bytes, start: int, end: int) -> None:
        found[-1] += memoryview(data)[start:end]

    def finish() -> None:
        nonlocal whole
        whole = True

    try:
        parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": begin,
                "on_header_field": in_header,
                "on_header_value": in_header,
                "on_header_end": header_end,
                "on_headers_finished": headers_end,
                "on_part_data": more,
                "on_end": finish,
            },
        )
        parser.write(body.data)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(400, "multipart", f"the multipart body is broken: {error}") from None
    if not whole:
        raise RequestError(400, "multipart", "the multipart body ends before its last boundary")
    if not found:
        raise RequestError(400, "empty", "the multipart body has no part")
    return [bytes(part) for part in found]


def pixels(body: Body, shape: tuple[int, int], most: int) -> npt.NDArray[np.uint8]:
    """Pictures that have the model's shape already, from a .npy body.

    Source: the NPY format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

    Returns:
        uint8 [n, height, width, 3], a view of the body.

    Raises:
        RequestError: no .npy, another type or shape, cut off, or more than `most` pictures.
    """
    wanted = f"uint8 of shape (n, {shape[0]}, {shape[1]}, 3)"
    stream = io.BytesIO(body.data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}[version]
        found, fortran, dtype = reader(stream, max_header_size=_MOST_NPY_HEADER)
    except Exception:  # a hostile header may raise nearly anything
        raise RequestError(415, "unsupported", f"not a .npy of {wanted}") from None
    if dtype != np.uint8 or fortran or len(found) != 4 or found[1:] != (*shape, 3):
        raise RequestError(422, "shape", f"{dtype} of shape {found}; this model reads {wanted}")
    if found[0] > most:
        raise RequestError(422, "too many", f"more than {most} pictures in one request")
    count = found[0] * shape[0] * shape[1] * 3
    if len(body.data) - stream.tell() != count:
        raise RequestError(422, "truncated", "not as many bytes as its header says")
    return np.frombuffer(body.data, np.uint8, count, stream.tell()).reshape(found)


def text(body: Body) -> object:
    """The text of a request: plain, or the "text" of a JSON object.

    Raises:
        RequestError: another content type, no valid JSON or characters, or no "text".
    """
    if not body.data:
        raise RequestError(400, "empty", "the body is empty")
    if body.kind in ("", "text/plain"):
        return _characters(body)
    if body.kind == "application/json":
        value = _json(body)
        if isinstance(value, dict) and "text" in value:
            return value["text"]
        raise RequestError(400, "json", 'the JSON must be an object such as {"text": "dog"}')
    message = f"send text/plain or application/json, not {body.kind}"
    raise RequestError(415, "unsupported", message)


def texts(body: Body, most: int) -> list[object]:
    """The items of a JSON list, or of the list under "texts" in a JSON object.

    Raises:
        RequestError: another content type, no valid JSON, or more than `most` items.
    """
    if body.kind not in ("", "application/json"):
        raise RequestError(415, "unsupported", f"send application/json, not {body.kind}")
    value = _json(body)
    if isinstance(value, dict):
        value = value.get("texts")
    if not isinstance(value, list):
        raise RequestError(400, "json", 'the JSON must be a list of texts, or {"texts": [...]}')
    if len(value) > most:
        raise RequestError(422, "too many", f"more than {most} texts in one request")
    return value


def checked_text(value: object, most: int) -> str:
    """A text the model can take.

    Raises:
        RequestError: no text, an empty one, or one of more than `most` bytes.
    """
    if not isinstance(value, str):
        raise RequestError(400, "json", "a text must be a string")
    if not value.strip():
        raise RequestError(400, "empty", "the text is empty")
    if len(value.encode("utf-8", "replace")) > most:
        raise RequestError(413, "too large", f"the text has more than {most} bytes")
    return value


def _characters(body: Body) -> str:
    charset = body.params.get("charset", "utf-8")
    try:
        codec = codecs.lookup(charset)
        if not getattr(codec, "_is_text_encoding", True):
            raise LookupError
    except (LookupError, ValueError):
        raise RequestError(415, "charset", f"no such charset: {charset[:40]!r}") from None
    try:
        return body.data.decode(codec.name)
    except (UnicodeError, ValueError):
        raise RequestError(400, "charset", f"the text is not valid {codec.name}") from None


def _json(body: Body) -> Any:
    try:
        return json.loads(body.data)
    except (ValueError, RecursionError):
        raise RequestError(400, "json", "the body is not valid JSON") from None
