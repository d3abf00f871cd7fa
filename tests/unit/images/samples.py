"""One small picture for every extension of the table, written without our code or Pillow.

They come from OpenCV, from tifffile, or are laid out here byte by byte from the formats'
specifications. All show the same pattern, which has no symmetry and at most 128 colours.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile

from tests.shared import SHARED

WIDTH, HEIGHT = 48, 32

PICTURES = SHARED / "pictures"


def pattern() -> np.ndarray:
    """uint8 RGB [32, 48, 3]: red grows to the right, green downwards, blue in four columns."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x // 6 * 36, y // 8 * 85, x // 12 % 4 * 85], axis=2).astype(np.uint8)


def grey() -> np.ndarray:
    """uint8 [32, 48]: a ramp."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (x * 4 + y * 2).astype(np.uint8)


def bits() -> np.ndarray:
    """uint8 [32, 48] of 0 and 255: a triangle."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.where(x > y, 255, 0).astype(np.uint8)


def as_rgb(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Sample:
    """A file and the pixels it must become.

    Attributes:
        data: the file.
        expected: uint8 RGB [height, width, 3].
        tolerance: the greatest mean difference in levels that the format's loss excuses.
    """

    data: bytes
    expected: np.ndarray
    tolerance: float = 0.0


def opencv(extension: str, rgb: np.ndarray, *settings: int) -> bytes:
    done, data = cv2.imencode(extension, rgb[:, :, ::-1] if rgb.ndim == 3 else rgb, settings)
    assert done
    return data.tobytes()


def jpeg(rgb: np.ndarray | None = None) -> bytes:
    rgb = pattern() if rgb is None else rgb
    quality = (cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111)
    return opencv(".jpg", rgb, *quality)


def mpo() -> bytes:
    """A JPEG with a second one behind it, by CIPA DC-007 (Multi-Picture Format)."""
    first, second = jpeg(), jpeg(255 - pattern())

    def index(length: int) -> bytes:
        entries = struct.pack("<IIIHH", 0x20030000, length, 0, 0, 0)
        entries += struct.pack("<IIIHH", 0x00020002, len(second), max(0, length - 8), 0, 0)
        ifd = struct.pack("<H", 3)
        ifd += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
        ifd += struct.pack("<HHII", 0xB001, 4, 1, 2)
        ifd += struct.pack("<HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
        body = b"MPF\0" + b"II*\0" + struct.pack("<I", 8) + ifd + bytes(4) + entries
        return b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body

    length = len(first) + len(index(0))
    return first[:2] + index(length) + first[2:] + second


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    rows: bytes,
    *,
    depth: int = 8,
    colour: int = 2,
    width: int = WIDTH,
    height: int = HEIGHT,
    before: tuple[bytes, ...] = (),
    after: tuple[bytes, ...] = (),
) -> bytes:
    """A PNG of raw rows (without filter bytes), by ISO/IEC 15948."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = b"".join(before) + chunk(b"IDAT", zlib.compress(filtered)) + b"".join(after)
    return b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")


def apng() -> bytes:
    """Two frames; the default picture is the first."""
    control = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    rows = (255 - pattern()).reshape(HEIGHT, -1)
    second = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png(
        pattern().tobytes(),
        before=(chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", control)),
        after=(
            chunk(b"fcTL", struct.pack(">I", 1) + control[4:]),
            chunk(b"fdAT", struct.pack(">I", 2) + second),
        ),
    )


def palette() -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [n, 3] colours, uint8 [32, 48] indices) of the pattern."""
    colours, indices = np.unique(pattern().reshape(-1, 3), axis=0, return_inverse=True)
    return colours, indices.reshape(HEIGHT, WIDTH).astype(np.uint8)


def gif() -> bytes:
    """Codes of 8 bits throughout: a clear code before every 100 pixels stops them from growing."""
    colours, indices = palette()
    table = colours.tobytes().ljust(3 * 128, b"\0")
    codes = bytearray()
    flat = indices.tobytes()
    for start in range(0, len(flat), 100):
        codes += bytes([128]) + flat[start : start + 100]
    codes += bytes([129])
    blocks = b"".join(
        bytes([len(codes[i : i + 255])]) + codes[i : i + 255] for i in range(0, len(codes), 255)
    )
    screen = struct.pack("<HHBBB", WIDTH, HEIGHT, 0xF6, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, WIDTH, HEIGHT, 0)
    return b"GIF89a" + screen + table + frame + b"\x07" + blocks + b"\0;"


def tiff() -> bytes:
    from io import BytesIO

    out = BytesIO()
    tifffile.imwrite(out, pattern(), photometric="rgb", compression="zlib")
    return out.getvalue()


def ico() -> bytes:
    """A 16 x 16 picture first and the pattern second, both as 32-bit bitmaps."""

    def bitmap(bgra: np.ndarray) -> bytes:
        height, width = bgra.shape[:2]
        header = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 0, 0, 0, 0, 0, 0)
        mask = bytes((width + 31) // 32 * 4 * height)
        return header + bgra[::-1].tobytes() + mask

    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    large = bitmap(np.concatenate([pattern()[:, :, ::-1], opaque], axis=2))
    small = bitmap(np.full((16, 16, 4), 255, np.uint8))
    entries, offset = b"", 6 + 2 * 16
    for edge, body in (((16, 16), small), ((WIDTH, HEIGHT), large)):
        entries += struct.pack("<BBBBHHII", *edge, 0, 0, 1, 32, len(body), offset)
        offset += len(body)
    return struct.pack("<HHH", 0, 1, 2) + entries + small + large


def dds(rgb: np.ndarray | None = None) -> bytes:
    """24 bits, with masks for blue, green and red."""
    rgb = pattern() if rgb is None else rgb
    height, width = rgb.shape[:2]
    head = struct.pack("<7I44x", 124, 0x100F, height, width, width * 3, 0, 0)
    form = struct.pack("<8I", 32, 0x40, 0, 24, 0xFF0000, 0xFF00, 0xFF, 0)
    caps = struct.pack("<5I", 0x1000, 0, 0, 0, 0)
    return b"DDS " + head + form + caps + rgb[:, :, ::-1].tobytes()


def tga() -> bytes:
    """True colour without compression, rows from the bottom, as most programs write it."""
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, WIDTH, HEIGHT, 24, 0)
    return head + pattern()[::-1, :, ::-1].tobytes()


def qoi() -> bytes:
    """Runs and plain colours only, by the QOI specification."""
    out = bytearray(b"qoif" + struct.pack(">IIBB", WIDTH, HEIGHT, 3, 0))
    pixels = [tuple(p) for p in pattern().reshape(-1, 3).tolist()]
    last: tuple[int, ...] = (0, 0, 0)
    at = 0
    while at < len(pixels):
        run = 0
        while run < 62 and at + run < len(pixels) and pixels[at + run] == last:
            run += 1
        if run:
            out.append(0xC0 | (run - 1))
            at += run
        else:
            last = pixels[at]
            out += b"\xfe" + bytes(last)
            at += 1
    return bytes(out) + bytes(7) + b"\x01"


def light() -> np.ndarray:
    """float32 RGB [32, 48, 3]: the pattern as light, four times brighter than white at most."""
    return (pattern().astype(np.float32) / 255) ** 2 * 4 + np.float32(0.01)


def tone_mapped(linear: np.ndarray) -> np.ndarray:
    """Reinhard's global operator with key 0.18, and gamma 2.2, in double precision."""
    rgb = linear.astype(np.float64)
    weights = np.array([0.2126, 0.7152, 0.0722])
    average = np.exp(np.log(rgb @ weights + 1e-6).mean())
    rgb = rgb * 0.18 / average
    shown = rgb / (1 + (rgb @ weights))[:, :, None]
    return np.floor(np.clip(shown, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def jp2() -> bytes:
    return opencv(".jp2", pattern(), cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)


def codestream() -> bytes:
    data = jp2()
    return data[data.index(b"\xff\x4f\xff\x51") :]


def jpx() -> bytes:
    data = jp2()
    assert data[20:24] == b"jp2 "
    return data[:20] + b"jpx " + data[24:]


def _hdr() -> Sample:
    data = opencv(".hdr", light())
    return Sample(data, tone_mapped(light()), tolerance=1.5)


def _jpeg() -> Sample:
    return Sample(jpeg(), pattern(), tolerance=2.5)


def _exact(write: Callable[[], bytes]) -> Callable[[], Sample]:
    return lambda: Sample(write(), pattern())


SAMPLES: dict[str, Callable[[], Sample]] = {
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".jpe": _jpeg,
    ".jfif": _jpeg,
    ".mpo": lambda: Sample(mpo(), pattern(), tolerance=2.5),
    ".png": lambda: Sample(opencv(".png", pattern()), pattern()),
    ".apng": _exact(apng),
    ".gif": _exact(gif),
    ".webp": lambda: Sample(opencv(".webp", pattern(), cv2.IMWRITE_WEBP_QUALITY, 101), pattern()),
    ".tif": lambda: Sample(opencv(".tif", pattern()), pattern()),
    ".tiff": _exact(tiff),
    ".bmp": lambda: Sample(opencv(".bmp", pattern()), pattern()),
    ".dib": lambda: Sample(opencv(".dib", pattern())[14:], pattern()),
    ".avif": lambda: Sample(
        opencv(".avif", pattern(), cv2.IMWRITE_AVIF_QUALITY, 95), pattern(), tolerance=8
    ),
    ".jp2": _exact(jp2),
    ".jpx": _exact(jpx),
    ".jpf": _exact(jpx),
    ".j2k": _exact(codestream),
    ".j2c": _exact(codestream),
    ".jpc": _exact(codestream),
    ".hdr": _hdr,
    ".ppm": lambda: Sample(opencv(".ppm", pattern()), pattern()),
    ".pnm": lambda: Sample(opencv(".pnm", pattern()), pattern()),
    ".pgm": lambda: Sample(opencv(".pgm", grey()), as_rgb(grey())),
    ".pbm": lambda: Sample(opencv(".pbm", bits()), as_rgb(bits())),
    ".ico": _exact(ico),
    ".dds": _exact(dds),
    ".qoi": _exact(qoi),
    ".tga": _exact(tga),
}
"""Extension -> what makes its sample."""
