"""Radiance HDR pictures: their RGBE pixels, and the tone mapping that makes 8-bit RGB of them.

Sources: Greg Ward, Real Pixels, in Graphics Gems II, 1991; The Radiance Picture File Format,
https://radsite.lbl.gov/radiance/refer/filefmts.pdf
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipstack.errors import ImageError, Reason

KEY = 0.18
GAMMA = 2.2

BYTES_PER_PIXEL = 7
"""Peak memory of `decode`: RGBE and RGB pixels; what else it takes does not grow with them."""
SLOW_PIXELS = 35_000_000
"""The most pixels that are decoded in some seconds."""

_SEARCHED_FOR_HEADER = 1 << 16
_FORMAT = b"\nFORMAT=32-bit_rle_rgbe\n"
_RUN_LENGTH_WIDTHS = range(8, 1 << 15)
_MAX_RUNS = 25_000_000
_OLD_MAX_PIXELS = 16_000_000
_BROKEN = "the pixels are broken or cut off"

_SCALE = np.ldexp(np.float32(1), np.arange(256) - 136).astype(np.float32)
_SCALE[0] = 0
"""By the exponent byte, what a colour byte of 1 is worth."""
_BRIGHTEST = np.float32(1e30)
_PIXELS_AT_ONCE = 1 << 18


class Header(NamedTuple):
    """What comes before the pixels.

    Attributes:
        width, height: in pixels.
        start: where the pixels begin, in bytes.
        is_rgbe: whether it names the RGBE format, which came with the newer run-length code.
    """

    width: int
    height: int
    start: int
    is_rgbe: bool


def read_header(data: bytes) -> Header | None:
    """The header of a Radiance picture, or None when its rows are not stored top to bottom."""
    end = data.find(b"\n\n", 0, _SEARCHED_FOR_HEADER) + 1
    start = data.find(b"\n", end + 1, end + 63) + 1
    words = data[end + 1 : start].split()
    if not end or len(words) != 4 or words[0] != b"-Y" or words[2] != b"+X":
        return None
    if not (words[1].isdigit() and words[3].isdigit()):
        return None
    return Header(int(words[3]), int(words[1]), start, data.find(_FORMAT, 0, end) >= 0)


def decode(data: bytes, header: Header) -> NDArray[np.uint8]:
    """Decode and tone-map a picture.

    The map is Reinhard's global operator: luminance is scaled so that its log-average becomes
    middle grey (0.18), compressed by L / (1 + L), and encoded with gamma 2.2.
    Source: Reinhard et al., Photographic Tone Reproduction for Digital Images, SIGGRAPH 2002,
    equations 1 to 3.

    Returns:
        uint8 of shape [height, width, 3], RGB.

    Raises:
        ValueError: the picture is broken or cut off.
        ImageError: TOO_LARGE, as it has too many runs.
    """
    if not header.width or not header.height:
        raise ValueError("it has no pixels")
    return _tone_map(read_rgbe(data, header))


def read_rgbe(data: bytes, header: Header) -> NDArray[np.uint8]:
    """The pixels as they are stored, uint8 [height, width, 4]: red, green, blue, exponent.

    Rows in the newer run-length code may be followed by rows without one. A picture that has
    none of the former and is too short for the latter is in the older run-length code.

    Raises:
        ValueError: the picture is broken or cut off.
    """
    rgbe = np.empty((header.height, header.width, 4), np.uint8)
    rows, at = 0, header.start
    if header.is_rgbe:
        if header.width in _RUN_LENGTH_WIDTHS:
            rows, at = _read_runs(data, at, rgbe)
        rest = rgbe[rows:]
        if at + rest.size <= len(data):
            rest[:] = np.frombuffer(data, np.uint8, rest.size, at).reshape(rest.shape)
            return rgbe
    is_too_large = header.height * header.width > _OLD_MAX_PIXELS
    if rows or is_too_large or data.startswith(b"\2\2", at):
        raise ValueError(_BROKEN)
    return _read_old_runs(data, at, header.height * header.width).reshape(rgbe.shape)


def _read_runs(data: bytes, at: int, rgbe: NDArray[np.uint8]) -> tuple[int, int]:
    """Fill the first rows from the newer run-length code, as far as there are any.

    A row begins with 2, 2 and its width; then come its red, green, blue and exponent bytes. A
    byte of more than 128 says how often, plus 128, the next one is repeated; one of 1 to 128 says
    how many bytes follow as they are.

    Returns:
        How many rows were filled, and where the rest begins.
    """
    height, width = rgbe.shape[:2]
    mark = bytes((2, 2, *divmod(width, 256)))
    runs = 0
    for y in range(height):
        if not data.startswith(mark, at):
            if data.startswith(b"\2\2", at) and data[at + 2 : at + 3] < b"\x80":
                raise ValueError(_BROKEN)
            return y, at
        at += 4
        pieces: list[bytes] = []
        for _ in range(4):
            at = _read_channel(data, at, width, pieces)
        row = b"".join(pieces)
        runs += len(pieces)
        if runs > _MAX_RUNS:
            raise ImageError("", Reason.TOO_LARGE, f"more than {_MAX_RUNS} runs")
        if len(row) != 4 * width:
            raise ValueError(_BROKEN)
        rgbe[y] = np.frombuffer(row, np.uint8).reshape(4, width).T
    return height, at


def _read_channel(data: bytes, at: int, missing: int, pieces: list[bytes]) -> int:
    """Append one channel of a row to `pieces`; returns where the next one begins."""
    end = len(data)
    while missing > 0 and at < end:
        count = data[at]
        if count > 128:
            count -= 128
            pieces.append(data[at + 1 : at + 2] * count)
            at += 2
        elif count:
            pieces.append(data[at + 1 : at + 1 + count])
            at += 1 + count
        else:
            raise ValueError(_BROKEN)
        missing -= count
    if missing:
        raise ValueError(_BROKEN)
    return at


def _read_old_runs(data: bytes, start: int, pixels: int) -> NDArray[np.uint8]:
    """The pixels, uint8 [4 * pixels], from the run-length code of before 1991.

    A pixel of (1, 1, 1, n) repeats the one before it n times; the count of a second such pixel
    in a row is shifted by 8 bits, and so on.

    Raises:
        ValueError: the runs do not make exactly that many pixels.
    """
    count = min((len(data) - start) // 4, _OLD_MAX_PIXELS)
    codes = np.frombuffer(data, np.uint8, 4 * count, start).reshape(-1, 4)
    runs = np.flatnonzero((codes[:, :3] == 1).all(axis=1)) * 4 + start
    rgbe = bytearray()
    at, shift = start, 0
    for run in runs.tolist():
        if at < run:
            rgbe += data[at:run]
            shift = 0
        if len(rgbe) >= 4 * pixels:
            break
        rgbe += rgbe[-4:] * min(data[run + 3] << shift, pixels)
        at, shift = run + 4, shift + 8
    rgbe += data[at : at + max(0, 4 * pixels - len(rgbe))]
    if len(rgbe) != 4 * pixels:
        raise ValueError(_BROKEN)
    return np.frombuffer(rgbe, np.uint8)


def _tone_map(rgbe: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 RGB [height, width, 3] from RGBE [height, width, 4]."""
    height, width = rgbe.shape[:2]
    rows = max(1, _PIXELS_AT_ONCE // width)
    strips = [slice(top, top + rows) for top in range(0, height, rows)]
    total = 0.0
    for strip in strips:
        total += float(np.log(_luminance(_light(rgbe[strip])) + 1e-6).sum(dtype=np.float64))
    exposure = np.float32(KEY / np.exp(total / (height * width)))
    out = np.empty((height, width, 3), np.uint8)
    for strip in strips:
        light = _light(rgbe[strip]) * exposure
        shown = (light / (1 + _luminance(light))[:, :, None])[:, :, ::-1]
        out[strip] = np.clip(shown, 0, 1) ** (1 / GAMMA) * 255 + 0.5
    return out


def _light(rgbe: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear BGR [height, width, 3] of RGBE pixels [height, width, 4]."""
    light = np.empty((*rgbe.shape[:2], 3), np.float32)
    scale = _SCALE[rgbe[:, :, 3]]
    for channel in range(3):
        np.multiply(rgbe[:, :, 2 - channel], scale, out=light[:, :, channel])
    return np.minimum(light, _BRIGHTEST, out=light)


def _luminance(bgr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relative luminance [height, width] (Rec. 709) of linear BGR [height, width, 3]."""
    luminance: NDArray[np.float32] = bgr @ np.array([0.0722, 0.7152, 0.2126], np.float32)
    return luminance
