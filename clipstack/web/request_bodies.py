"""Request bodies within limits, and the pictures, pixels, texts and JSON in them."""

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

_MIN_BYTES_PER_SECOND = 32 << 10
_MAX_SECONDS = 90.0
_MAX_NPY_HEADER = 4096
_MAX_BOUNDARY = 200


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, with its content type: `media_type` in lower case or "", and `params`."""

    data: bytes
    media_type: str
    params: dict[str, str]


class BodyReader:
    """Reads request bodies while all bodies held together stay within `limits.memory`."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._held_bytes = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Body]:
        """The body of a request; its bytes count as held until the context ends.

        Raises:
            RequestError: the body is too large, too slow or cut off.
            BusyError: the bodies of other requests hold too many bytes.
        """
        media_type, params = content_type(request)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in self._chunks(request):
                size += len(chunk)
                self._held_bytes += len(chunk)
                if size > self._limits.max_bytes:
                    raise self._too_large(size)
                if self._held_bytes > self._limits.memory:
                    raise BusyError("the service is busy: it holds too many bodies", 2)
                chunks.append(chunk)
            data = b"".join(chunks)
            chunks.clear()
            yield Body(data, media_type, params)
        finally:
            self._held_bytes -= size

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        """The body in chunks; a client that sends less than 32 KiB/s is refused after a while."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.max_bytes:
            raise self._too_large(int(declared))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.patience
        last_deadline = max(deadline, loop.time() + _MAX_SECONDS)
        stream = request.stream()
        try:
            while True:
                async with asyncio.timeout_at(min(deadline, last_deadline)):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                deadline += len(chunk) / _MIN_BYTES_PER_SECOND
                yield chunk
        except TimeoutError:
            raise RequestError(
                408, "too slow", "the body did not arrive in time", {"Connection": "close"}
            ) from None
        except ClientDisconnect:
            raise RequestError(400, "cut off", "the client disconnected") from None

    def _too_large(self, size: int) -> RequestError:
        limit = self._limits.max_bytes
        return RequestError(
            413, "too large", f"the body has {size} bytes or more, the limit is {limit}"
        )


def content_type(request: Request) -> tuple[str, dict[str, str]]:
    """The media type in lower case, or "", and its parameters."""
    media_type, params = parse_options_header(request.headers.get("content-type", ""))
    return (
        media_type.decode("latin-1").strip().lower(),
        {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in params.items()},
    )


class _MultipartFiles:
    """Collects the files of a multipart body from the parser's callbacks."""

    def __init__(self, max_files: int) -> None:
        self.files: list[bytearray] = []
        self.is_complete = False
        self._max_files = max_files
        self._header = bytearray()
        self._is_file = False

    def on_part_begin(self) -> None:
        self._is_file = False
        if len(self.files) >= self._max_files:
            raise RequestError(422, "too many", f"more than {self._max_files} parts in one request")
        self.files.append(bytearray())

    def on_header(self, data: bytes, start: int, end: int) -> None:
        self._header.extend(data[start:end])

    def on_header_end(self) -> None:
        line = self._header.lower()
        self._is_file |= line.startswith(b"content-type") or b"filename" in line
        self._header.clear()

    def on_headers_finished(self) -> None:
        if not self._is_file:
            raise RequestError(400, "multipart", "every part must be a file")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.files[-1] += memoryview(data)[start:end]

    def on_end(self) -> None:
        self.is_complete = True


def multipart_files(body: Body, max_files: int) -> list[bytes]:
    """The files in a multipart body, in order; their names do not matter.

    Raises:
        RequestError: the body is not multipart or is cut off, has more than `max_files` parts, or
            one that is a form field (with neither a file name nor a content type).
    """
    boundary = body.params.get("boundary", "")
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        raise RequestError(400, "multipart", "the content type names no boundary")
    parts = _MultipartFiles(max_files)
    try:
        parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": parts.on_part_begin,
                "on_header_field": parts.on_header,
                "on_header_value": parts.on_header,
                "on_header_end": parts.on_header_end,
                "on_headers_finished": parts.on_headers_finished,
                "on_part_data": parts.on_part_data,
                "on_end": parts.on_end,
            },
        )
        parser.write(body.data)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(400, "multipart", f"the multipart body is broken: {error}") from None
    if not parts.is_complete:
        raise RequestError(400, "multipart", "the multipart body ends before its last boundary")
    if not parts.files:
        raise RequestError(400, "empty", "the multipart body has no part")
    return [bytes(file) for file in parts.files]


def pixels(body: Body, image_shape: tuple[int, int], max_images: int) -> npt.NDArray[np.uint8]:
    """Pixels in the shape that the model reads, from a .npy body.

    Source: the NPY format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

    Args:
        image_shape: (height, width) that the model reads.

    Returns:
        uint8 [n, height, width, 3], a view of the body.

    Raises:
        RequestError: not a .npy file, another type or shape, cut off, or more than `max_images`.
    """
    expected = f"uint8 of shape (n, {image_shape[0]}, {image_shape[1]}, 3)"
    stream = io.BytesIO(body.data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0}[version]
        shape, is_fortran, dtype = read_header(stream, max_header_size=_MAX_NPY_HEADER)
    except Exception:  # a hostile header may raise nearly anything
        raise RequestError(415, "unsupported", f"not a .npy of {expected}") from None
    if dtype != np.uint8 or is_fortran or len(shape) != 4 or shape[1:] != (*image_shape, 3):
        raise RequestError(422, "shape", f"{dtype} of shape {shape}; this model reads {expected}")
    if shape[0] > max_images:
        raise RequestError(422, "too many", f"more than {max_images} pictures in one request")
    count = shape[0] * image_shape[0] * image_shape[1] * 3
    if len(body.data) - stream.tell() != count:
        raise RequestError(422, "truncated", "not as many bytes as its header says")
    return np.frombuffer(body.data, np.uint8, count, stream.tell()).reshape(shape)


def text(body: Body) -> object:
    """The text of a request: plain, or "text" of a JSON object, which may be any value.

    Raises:
        RequestError: another content type, invalid JSON or characters, or no "text".
    """
    if not body.data:
        raise RequestError(400, "empty", "the body is empty")
    if body.media_type in ("", "text/plain"):
        return _decode(body)
    if body.media_type == "application/json":
        value = parse_json(body)
        if isinstance(value, dict) and "text" in value:
            return value["text"]
        raise RequestError(400, "json", 'the JSON must be an object such as {"text": "dog"}')
    message = f"send text/plain or application/json, not {body.media_type}"
    raise RequestError(415, "unsupported", message)


def texts(body: Body, max_texts: int) -> list[object]:
    """The items of a JSON list, or of the list under "texts" in a JSON object.

    Raises:
        RequestError: another content type, invalid JSON, or more than `max_texts` items.
    """
    if body.media_type not in ("", "application/json"):
        raise RequestError(415, "unsupported", f"send application/json, not {body.media_type}")
    value = parse_json(body)
    if isinstance(value, dict):
        value = value.get("texts")
    if not isinstance(value, list):
        raise RequestError(400, "json", 'the JSON must be a list of texts, or {"texts": [...]}')
    if len(value) > max_texts:
        raise RequestError(422, "too many", f"more than {max_texts} texts in one request")
    return value


def checked_text(value: object, max_bytes: int) -> str:
    """`value` if it is a text that the model can encode.

    Raises:
        RequestError: not a string, empty, or longer than `max_bytes` in UTF-8.
    """
    if not isinstance(value, str):
        raise RequestError(400, "json", "a text must be a string")
    if not value.strip():
        raise RequestError(400, "empty", "the text is empty")
    if len(value.encode("utf-8", "replace")) > max_bytes:
        raise RequestError(413, "too large", f"the text has more than {max_bytes} bytes")
    return value


def parse_json(body: Body) -> Any:
    """The value of a JSON body.

    Raises:
        RequestError: it is not valid JSON.
    """
    try:
        return json.loads(body.data)
    except (ValueError, RecursionError):
        raise RequestError(400, "json", "the body is not valid JSON") from None


def _decode(body: Body) -> str:
    charset = body.params.get("charset", "utf-8")
    try:
        return body.data.decode(charset)
    except UnicodeError:
        name = codecs.lookup(charset).name
        raise RequestError(400, "charset", f"the text is not valid {name}") from None
    except (LookupError, ValueError):  # unknown, or a codec from bytes to bytes such as hex
        raise RequestError(415, "charset", f"no such charset: {charset[:40]!r}") from None
