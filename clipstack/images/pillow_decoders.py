"""Decoders that replace slow ones of Pillow's.

Pillow reads PNM pictures of an unusual range, plain PNM pictures, uncompressed DDS textures and
QOI pixel by pixel in Python, which takes minutes for 100 megapixels. These read the same data with
NumPy (QOI in a tighter loop) and refuse pictures whose pixels are missing. Libtiff, which writes to
the process's standard error, is silenced here too.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import DdsImagePlugin, Image, ImageFile, PpmImagePlugin, QoiImagePlugin

_SHORT = "not enough image data"
_PIECE = 1 << 22


def install() -> None:
    """Register the decoders in place of Pillow's, for the whole process."""
    for plugin in (
        PpmImagePlugin,
        DdsImagePlugin,
        QoiImagePlugin,
    ):  # importing them registered Pillow's own
        assert plugin
    Image.register_decoder("ppm", BinaryPnm)
    Image.register_decoder("ppm_plain", PlainPnm)
    Image.register_decoder("dds_rgb", MaskedDds)
    Image.register_decoder("qoi", Qoi)
    _silence_libtiff()


def _silence_libtiff() -> None:
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


class _Decoder(ImageFile.PyDecoder):
    _pulls_fd = True

    def _read(self, count: int) -> bytes:
        assert self.fd is not None
        data = self.fd.read(count)
        if len(data) < count:
            raise ValueError(_SHORT)
        return data

    @property
    def _samples(self) -> int:
        return self.state.xsize * self.state.ysize * Image.getmodebands(self.mode)

    def _hand_over(self, pixels: np.ndarray[Any, Any], rawmode: str | None = None) -> None:
        self.set_as_raw(pixels.reshape(-1).view(np.uint8).data, rawmode)  # type: ignore[arg-type]


class _Pnm(_Decoder):
    def _finish(self, pieces: Iterable[np.ndarray[Any, Any]]) -> tuple[int, int]:
        """Scales samples to 8 bits (16 for grey) and rounds to even, as Pillow does."""
        greatest: int = self.args[-1]
        wide = self.mode == "I"
        top = 65535 if wide else 255
        scaled = np.minimum(np.rint(np.arange(65536) * (top / greatest)), top)
        table = scaled.astype("<i4" if wide else np.uint8)
        out = np.empty(self._samples, table.dtype)
        at = 0
        for piece in pieces:
            out[at : at + piece.size] = table[piece]
            at += piece.size
        if at < out.size:
            raise ValueError(_SHORT)
        self._hand_over(out, "I;32" if wide else self.mode)
        return -1, 0


class BinaryPnm(_Pnm):
    """P5 and P6 whose greatest value is neither 255 nor, for P5, 65535."""

    def decode(self, buffer: object) -> tuple[int, int]:  # noqa: ARG002
        return self._finish(self._pieces())

    def _pieces(self) -> Iterator[np.ndarray[Any, Any]]:
        kind = np.dtype(np.uint8 if self.args[-1] < 256 else ">u2")
        missing = self._samples
        while missing:
            count = min(missing, _PIECE)
            yield np.frombuffer(self._read(count * kind.itemsize), kind)
            missing -= count


class PlainPnm(_Pnm):
    """P1, P2 and P3: the values are written in decimal."""

    def decode(self, buffer: object) -> tuple[int, int]:  # noqa: ARG002
        assert self.fd is not None
        text = self.fd.read()
        if b"#" in text:
            text = re.sub(rb"#[^\r\n]*", b"", text)
        return self._bits(text) if self.mode == "1" else self._finish(self._numbers(text))

    def _bits(self, text: bytes) -> tuple[int, int]:
        digits = text.translate(None, b" \t\r\n\v\f")[: self._samples]
        if len(digits) < self._samples:
            raise ValueError(_SHORT)
        if digits.translate(None, b"01"):
            raise ValueError("a value is neither 0 nor 1")
        self.set_as_raw(digits.translate(bytes.maketrans(b"01", b"\xff\x00")), "1;8")
        return -1, 0

    def _numbers(self, text: bytes) -> Iterator[np.ndarray[Any, Any]]:
        greatest: int = self.args[-1]
        missing, start = self._samples, 0
        while missing and start < len(text):
            end = start + _PIECE
            while end < len(text) and not text[end : end + 1].isspace():
                end += 1
            words = text[start:end].split()[:missing]
            start = end
            if not words:
                continue
            numbers = np.array(words, dtype="S11").astype(np.int64)
            if not 0 <= numbers.min() <= numbers.max() <= greatest:
                raise ValueError(f"a value is not between 0 and {greatest}")
            yield numbers
            missing -= numbers.size


class MaskedDds(_Decoder):
    """Uncompressed DDS pixels whose channels lie under bit masks."""

    def decode(self, buffer: object) -> tuple[int, int]:  # noqa: ARG002
        bits, masks = self.args
        width, height = self.state.xsize, self.state.ysize
        if bits not in (8, 16, 24, 32):
            raise NotImplementedError(f"DDS pixels of {bits} bits")
        out = np.empty((height, width, len(masks)), np.uint8)
        rows = max(1, _PIECE // (4 * width))
        for top in range(0, height, rows):
            part = out[top : top + rows]
            values = _little_endian(self._read(part.shape[0] * width * bits // 8), bits // 8)
            for channel, mask in enumerate(masks):
                part[:, :, channel] = _channel(values, mask).reshape(part.shape[:2])
        self._hand_over(out)
        return -1, 0


class Qoi(_Decoder):
    """Quite OK Image. Source: The Quite OK Image Format, specification version 1.0."""

    def decode(self, buffer: object) -> tuple[int, int]:  # noqa: ARG002
        assert self.fd is not None
        packed = _qoi_pixels(self.fd.read(), self.state.xsize * self.state.ysize)
        colours = np.frombuffer(packed, np.uint32).astype("<u4", copy=False).view(np.uint8)
        pixels = colours.reshape(-1, 4)[:, : Image.getmodebands(self.mode)]
        self._hand_over(np.ascontiguousarray(pixels))
        return -1, 0


def _qoi_pixels(data: bytes, count: int) -> array[int]:
    """`count` pixels, red in the low byte of each, from the chunks of a QOI file."""
    out = array("I", bytes(4 * count))
    seen = [0] * 64
    red = green = blue = at = done = 0
    alpha = 255
    pixel = 0xFF000000
    end = len(data)
    while done < count:
        if at + 5 > end:  # eight bytes follow the last chunk of a whole file
            raise ValueError(_SHORT)
        tag = data[at]
        at += 1
        if tag >= 0xC0 and tag < 0xFE:
            run = min((tag & 63) + 1, count - done)
            out[done : done + run] = array("I", [pixel]) * run
            done += run
            continue
        if tag < 0x40:
            pixel = seen[tag]
            red, green, blue, alpha = (
                pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255, pixel >> 24
            )  # fmt: skip
            out[done] = pixel
            done += 1
            continue
        if tag < 0x80:
            red = red + (tag >> 4 & 3) - 2 & 255
            green = green + (tag >> 2 & 3) - 2 & 255
            blue = blue + (tag & 3) - 2 & 255
        elif tag < 0xC0:
            step = (tag & 63) - 32
            other = data[at]
            at += 1
            red = red + step + (other >> 4) - 8 & 255
            green = green + step & 255
            blue = blue + step + (other & 15) - 8 & 255
        else:
            red, green, blue = data[at], data[at + 1], data[at + 2]
            at += 3
            if tag == 0xFF:
                alpha = data[at]
                at += 1
        pixel = red | green << 8 | blue << 16 | alpha << 24
        seen[(red * 3 + green * 5 + blue * 7 + alpha * 11) & 63] = pixel
        out[done] = pixel
        done += 1
    return out


def _little_endian(data: bytes, size: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    raw = np.frombuffer(data, np.uint8).reshape(-1, size)
    padded = np.zeros((len(raw), 4), np.uint8)
    padded[:, :size] = raw
    return padded.view("<u4")[:, 0]


def _channel(values: np.ndarray[Any, Any], mask: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bits under a mask, scaled to 0 to 255."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    return (((values & np.uint32(mask)) >> np.uint32(shift)).astype(np.uint64) * 255 // top).astype(
        np.uint8
    )
