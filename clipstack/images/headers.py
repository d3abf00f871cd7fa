"""What the header of a file claims about its size, read before a decoder opens it.

Some decoders take memory for all pixels as soon as they open a file; how much is found first.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

Size = tuple[int, int]

_MAX_PARTS = 200_000

_PNM_HEADER = 1 << 16

TGA_CUT_OFF = "cut off"
"""The fault of a TGA picture whose header is faultless."""


def _count_part(parts: int) -> int:
    """Count one more part of a header, so that none takes minutes to read.

    Raises:
        ValueError: it has more than any program writes.
    """
    if parts >= _MAX_PARTS:
        raise ValueError(f"its header has more than {_MAX_PARTS} parts")
    return parts + 1


def check_png_chunks(data: bytes) -> None:
    """Count the chunks before the pixels of a PNG. Source: ISO/IEC 15948, 5.3.

    Raises:
        ValueError: there are too many.
    """
    at = 8
    chunks = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        chunks = _count_part(chunks)


def check_pnm_header(data: bytes) -> None:
    """Find the sizes of a PNM near its beginning, before any long comment.

    Raises:
        ValueError: they are not there.
    """
    start = re.sub(rb"#[^\r\n]*", b" ", data[:_PNM_HEADER])
    words = 3 if start[1:2] in b"14" else 4
    if len(start.split(None, words)) < words:
        raise ValueError("its header is cut off" if len(data) < _PNM_HEADER else "no size found")


def webp_size(data: bytes) -> Size | None:
    """(width, height) of a WebP canvas, or None when the header is broken.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L" and len(data) >= 25 and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(data) >= 30 and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def webp_is_cut(data: bytes) -> bool:
    """Whether a WebP file is shorter than its RIFF header says."""
    return len(data) >= 8 and int.from_bytes(data[4:8], "little") + 8 > len(data) + 1


def gif_sizes(data: bytes) -> list[Size]:
    """(width, height) of a GIF's screen and of its first frame.

    Source: Graphics Interchange Format 89a, sections 18, 20 and 24.
    """
    if len(data) < 13:
        return []
    flags = data[10]
    sizes = [struct.unpack_from("<HH", data, 6)]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    steps = 0
    while at < len(data) and data[at] != ord(","):
        if data[at] == ord("!"):
            at += 2
            while at < len(data) and data[at]:
                at += 1 + data[at]
                steps = _count_part(steps)
        at += 1
        steps = _count_part(steps)
    if len(data) >= at + 9:
        left, top, width, height = struct.unpack_from("<4H", data, at + 1)
        sizes.append((left + width, top + height))
    return sizes


def ico_sizes(data: bytes) -> list[Size]:
    """(width, height) of every picture in an ICO file whose header can be read."""
    count = int.from_bytes(data[4:6], "little")
    sizes = []
    for at in range(6, min(6 + 16 * count, len(data) - 15), 16):
        start = int.from_bytes(data[at + 12 : at + 16], "little")
        head = data[start : start + 24]
        if head.startswith(b"\x89PNG") and len(head) == 24:
            sizes.append(struct.unpack(">II", head[16:24]))
        elif len(head) >= 12:
            width, height = struct.unpack("<ii", head[4:12])
            sizes.append((abs(width), abs(height) // 2))
    return sizes


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the main header of a JPEG 2000 codestream says.

    Attributes:
        width, height: of the picture, in pixels.
        tile_width, tile_height: of one tile, in pixels, no larger than the picture.
        tiles: how many tiles there are.
        components: how many colour and alpha planes there are.
        levels: how often the size can be halved while decoding.
        left, top: where the picture begins on the reference grid, in pixels.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    tiles: int
    components: int
    levels: int
    left: int
    top: int

    def halved(self, times: int) -> Size:
        """(width, height) after `times` halvings; both edges of the picture are rounded up."""
        return (
            _halved(self.left + self.width, times) - _halved(self.left, times),
            _halved(self.top + self.height, times) - _halved(self.top, times),
        )


def _halved(edge: int, times: int) -> int:
    return -(-edge >> times)


def jpeg2000(data: bytes) -> Codestream | None:
    """The main header of the codestream in a JPEG 2000 file, or None when there is none.

    Source: ISO/IEC 15444-1, annex A.5.1 (SIZ) and A.6.1 (COD).
    """
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 44:
        return None
    x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y, components = struct.unpack_from(
        ">8IH", data, start + 8
    )
    if x1 <= x0 or y1 <= y0 or not tile_w or not tile_h or tile_x > x0 or tile_y > y0:
        return None
    tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
    width, height = x1 - x0, y1 - y0
    levels = _jpeg2000_levels(data, start + 2)
    return Codestream(
        width, height, min(tile_w, width), min(tile_h, height), tiles, components, levels, x0, y0
    )


def _jpeg2000_levels(data: bytes, at: int) -> int:
    """Decomposition levels by the default coding style; 0 when it is not found."""
    for _ in range(100):
        marker, length = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff\x52" and at + 10 <= len(data):
            return data[at + 9]
        if marker in (b"\xff\x90", b"") or length < 2:
            return 0
        at += 2 + length
    return 0


def tga_fault(data: bytes) -> str:
    """Why these bytes can't be a TGA picture, or "" when they can.

    The format has no signature, so its header must be faultless and the file long enough.

    Source: Truevision TGA File Format Specification 2.0.
    """
    if len(data) < 18:
        return "too short"
    (id_length, has_map, kind, map_first, map_length, map_depth, _x, _y, width, height, depth,
     flags) = struct.unpack_from("<BBBHHBHHHHBB", data)  # fmt: skip
    if has_map > 1 or kind not in (1, 2, 3, 9, 10, 11) or not width or not height:
        return "not a TGA header"
    depths = {1: (8,), 2: (16, 24, 32), 3: (8, 16)}[kind & 7]
    if depth not in depths or flags & 0xC0 or (flags & 15) > 8:
        return "not a TGA header"
    if has_map and map_depth not in (15, 16, 24, 32):
        return "not a TGA header"
    if kind & 7 == 1 and not (has_map and 0 < map_length <= 256 and map_first < 256):
        return "not a TGA header"
    start = 18 + id_length + (map_length * ((map_depth + 7) // 8) if has_map else 0)
    pixels = width * height
    needed = -(-pixels // 128) * (1 + depth // 8) if kind & 8 else pixels * depth // 8
    return "" if len(data) >= start + needed else TGA_CUT_OFF


class JpegFrame(NamedTuple):
    """What the headers of a JPEG say before its first scan.

    Attributes:
        is_lossless: whether it is one of the lossless processes, which can't be scaled.
        in_one_scan: whether the first scan holds all colour planes at their full precision.
    """

    is_lossless: bool
    in_one_scan: bool


def jpeg_frame(data: bytes) -> JpegFrame:
    """The frame and first scan of a JPEG; a broken one counts as the most expensive kind.

    Raises:
        ValueError: it has too many segments.

    Source: ITU-T T.81, B.1.1.3 (markers), B.2.2 (frame) and B.2.3 (scan).
    """
    at, process, planes, segments = 2, 0, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        segments = _count_part(segments)
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        if marker == 0xDA:
            in_one_scan = process not in (0xC2, 0xC6, 0xCA, 0xCE) and data[at + 4] >= planes
            return JpegFrame(process in (0xC3, 0xC7, 0xCB, 0xCF), in_one_scan)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            process, planes = marker, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return JpegFrame(False, False)
