"""Decoding: the bytes of a picture in, upright RGB pixels of the model's size out.

Every limit and every decoding error is raised here. The format of a picture is found from its bytes
only, and only the formats of the table are ever opened. Colour profiles are ignored, as they are by
the image processors of Hugging Face transformers. `decode` may be called from several threads at
once; a picture that takes much memory waits until no other such picture is being decoded.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from clipstack.errors import ImageError, Reason
from clipstack.images import (
    formats,
    headers,
    memory_estimate,
    pillow_decoders,
    pillow_images,
    radiance,
    render,
)
from clipstack.images.formats import Format
from clipstack.images.geometry import Geometry
from clipstack.images.metadata import orientation_and_date
from clipstack.images.resize import Pixels

__all__ = ["Limits", "Picture", "decode", "read_file"]

# Pillow's warnings about a broken picture are not for people who import a folder.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
pillow_decoders.install()

_LARGE_MEMORY = 96 << 20
_ONE_LARGE_AT_A_TIME = threading.BoundedSemaphore(1)

_JPEG2000_MAX_TILES = 16_384


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits beyond which a picture is refused as too large.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width x height by the picture's header; of a JPEG that is decoded to a
            fraction of its size, the pixels of that fraction.
        max_memory: bytes that decoding may take by the picture's header, the file's included.
    """

    max_bytes: int = 400 << 20
    max_pixels: int = 128_000_000
    max_memory: int = 900_000_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 RGB of shape [height, width, 3]: the model's size, or the whole upright
            picture when no geometry was asked for.
        width, height: of the whole upright picture, in pixels.
        format: the name of its format in the table of formats.
        taken_at: when it was taken by its EXIF data, in seconds since 1970 (UTC where the EXIF
            data give no offset), or 0 when unknown.
        facts: what else the file says of itself; see `metadata.description.facts`.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    taken_at: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_file(
    path: str,
    limits: Limits = DEFAULT_LIMITS,
    *,
    check: Callable[[os.stat_result], None] | None = None,
    flags: int = 0,
) -> bytes:
    """Read a regular file; never waits for a pipe or a device.

    Args:
        check: called with the status of the opened file before it is read; raises to refuse it.
        flags: more flags of `os.open`, such as O_NOFOLLOW.

    Raises:
        ImageError: EMPTY, TOO_LARGE, PERMISSION, VANISHED or UNREADABLE.
    """
    with file_errors(path):
        return _read_regular(path, limits, check, flags)


@contextlib.contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Turn an OSError about a file into an ImageError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(path, Reason.VANISHED, "there is no such file") from None
    except PermissionError:
        raise ImageError(path, Reason.PERMISSION, "no permission to read it") from None
    except OSError as error:
        detail = error.strerror or os.strerror(error.errno or errno.EIO)
        raise ImageError(path, Reason.UNREADABLE, detail) from error
    except ValueError as error:
        raise ImageError(path, Reason.UNREADABLE, str(error)) from error


def _read_regular(
    path: str, limits: Limits, check: Callable[[os.stat_result], None] | None, flags: int
) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise ImageError(path, Reason.UNREADABLE, "not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    with io.FileIO(descriptor) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(path, Reason.UNREADABLE, "not a regular file")
        if check:
            check(status)
        if status.st_size > limits.max_bytes:
            detail = f"{status.st_size} bytes, the limit is {limits.max_bytes}"
            raise ImageError(path, Reason.TOO_LARGE, detail)
        data = file.read(status.st_size)
        while 0 < len(data) < status.st_size and (more := file.read(status.st_size - len(data))):
            data += more
    if not data:
        raise ImageError(path, Reason.EMPTY, "0 bytes")
    return data


def decode(
    data: bytes,
    geometry: Geometry | None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    path: str = "",
) -> Picture:
    """Decode one picture.

    Args:
        data: a whole file.
        geometry: the size the model wants, or None for the whole picture.
        limits: what is refused as too large.
        path: where the bytes came from, for the error.

    Raises:
        ImageError: EMPTY, TOO_LARGE, TRUNCATED, UNSUPPORTED or UNREADABLE. No other exception.
    """
    try:
        if not data:
            raise ImageError(path, Reason.EMPTY, "0 bytes")
        if len(data) > limits.max_bytes:
            detail = f"{len(data)} bytes, the limit is {limits.max_bytes}"
            raise ImageError(path, Reason.TOO_LARGE, detail)
        return _decode(data, geometry, limits)
    except ImageError as error:
        if error.path == path:
            raise
        raise ImageError(path, error.reason, error.detail) from error.__cause__
    except MemoryError as error:
        raise ImageError(path, Reason.TOO_LARGE, "not enough memory") from error
    except Exception as error:
        # Decoders of broken files raise nearly anything: ValueError, SyntaxError, KeyError,
        # struct.error, zlib.error, ZeroDivisionError, RecursionError...
        raise ImageError(path, *_reason(error)) from error


_NOT_READ = ("unsupported", "not supported", "unknown pixel mode")
_CUT_OFF = ("truncated", "not enough image data", "unexpected end", "incomplete", "cut off")


def _reason(error: Exception) -> tuple[Reason, str]:
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, NotImplementedError) or any(w in detail.lower() for w in _NOT_READ):
        return Reason.UNSUPPORTED, detail
    if isinstance(error, Image.DecompressionBombError):
        return Reason.TOO_LARGE, detail
    if isinstance(error, (EOFError, struct.error)) or any(w in detail.lower() for w in _CUT_OFF):
        return Reason.TRUNCATED, detail
    return Reason.UNREADABLE, detail


def _decode(data: bytes, geometry: Geometry | None, limits: Limits) -> Picture:
    kind = _kind(data)
    with _Resources() as resources:
        if kind is formats.HDR:
            return _decode_radiance(data, kind, geometry, limits, resources)
        _check_before_opening(data, kind, limits, resources)
        im = resources.enter_context(pillow_images.open_image(data, kind))
        width, height = im.size
        # A PNG may hold its EXIF data behind its pixels.
        exif_facts = (
            orientation_and_date.facts(im)
            if kind is not formats.PNG
            else orientation_and_date.NOTHING
        )
        box = None
        if geometry is not None:
            box = pillow_images.reduce_detail(im, data, kind, geometry, exif_facts.orientation)
        _check_pixels(im.size, limits, memory_estimate.slow_pixels(im))
        per_pixel = 0 if geometry is not None else 3 if exif_facts.orientation == 1 else 6
        needed = memory_estimate.after_opening(
            im, data, kind, width * height, result_bytes=per_pixel
        )
        resources.claim(needed, len(data), limits)
        im.load()
        if kind is formats.PNG:
            exif_facts = orientation_and_date.facts(im)
        elif kind is formats.ICO:
            width, height = im.size
        pixels = render.pixels(im, geometry, exif_facts.orientation, (width, height), box)
    width, height = orientation_and_date.upright_size((width, height), exif_facts.orientation)
    return Picture(pixels, width, height, kind.name, exif_facts.taken_at, exif_facts.more)


def _kind(data: bytes) -> Format:
    head = data[: formats.HEAD]
    kind = formats.sniff(head)
    if kind is not None:
        return kind
    fault = headers.tga_fault(data)
    if fault == headers.TGA_CUT_OFF:
        raise ImageError("", Reason.TRUNCATED, "a TGA picture that is cut off")
    if fault:
        raise ImageError("", Reason.UNSUPPORTED, formats.describe_unknown(head))
    return formats.TGA


def _check_pixels(size: tuple[int, int], limits: Limits, slow_pixels: int | None = None) -> int:
    """The number of pixels of a size, if it is within the limits."""
    pixels = size[0] * size[1]
    limit = min(limits.max_pixels, slow_pixels or limits.max_pixels)
    if pixels > limit:
        detail = f"{size[0]} x {size[1]} pixels, the limit is {limit} pixels"
        raise ImageError("", Reason.TOO_LARGE, detail)
    return pixels


class _Resources(contextlib.ExitStack):
    """The resources of one decode; only one large picture is decoded at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._is_large = False

    def claim(self, needed: int, file_size: int, limits: Limits) -> None:
        """Refuse what takes too much memory; a large picture waits here for its turn.

        Args:
            needed: bytes for decoding, without those of the file.
        """
        if needed + file_size > limits.max_memory:
            megabytes = (needed + file_size) >> 20
            raise ImageError("", Reason.TOO_LARGE, f"it would take {megabytes} MiB of memory")
        if needed > _LARGE_MEMORY and not self._is_large:
            self.enter_context(_ONE_LARGE_AT_A_TIME)
            self._is_large = True


def _check_before_opening(data: bytes, kind: Format, limits: Limits, resources: _Resources) -> None:
    """Check the formats whose decoders take memory, or much time, when they are opened."""
    sizes: list[headers.Size] = []
    if kind is formats.WEBP:
        if headers.webp_is_cut(data):
            raise ImageError("", Reason.TRUNCATED, "shorter than its header says")
        size = headers.webp_size(data)
        if size is None:
            raise ImageError("", Reason.UNREADABLE, "its header is broken")
        sizes = [size]
    elif kind is formats.JPEG:
        headers.jpeg_frame(data)
    elif kind is formats.PNG:
        headers.check_png_chunks(data)
    elif kind is formats.PNM:
        headers.check_pnm_header(data)
    elif kind is formats.GIF:
        sizes = headers.gif_sizes(data)
    elif kind is formats.ICO:
        sizes = headers.ico_sizes(data)
    elif kind is formats.JPEG2000:
        stream = headers.jpeg2000(data)
        if stream is None:
            raise ImageError("", Reason.UNREADABLE, "its header is broken")
        if stream.tiles > _JPEG2000_MAX_TILES or stream.components > 4:
            raise ImageError("", Reason.UNSUPPORTED, "too many tiles or colour planes")
    largest = max((_check_pixels(size, limits) for size in sizes), default=0)
    resources.claim(memory_estimate.before_opening(kind, largest), len(data), limits)


def _decode_radiance(
    data: bytes,
    kind: Format,
    geometry: Geometry | None,
    limits: Limits,
    resources: _Resources,
) -> Picture:
    header = radiance.read_header(data)
    if header is None:
        raise ImageError("", Reason.UNSUPPORTED, "rows that are not stored top to bottom")
    size = header.width, header.height
    count = _check_pixels(size, limits, radiance.SLOW_PIXELS)
    resources.claim(count * radiance.BYTES_PER_PIXEL, len(data), limits)
    pixels = radiance.decode(data, header)
    if geometry is not None:
        pixels = render.pixels(Image.fromarray(pixels), geometry)
    return Picture(pixels, *size, kind.name, 0)
