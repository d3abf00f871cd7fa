"""EXIF data in, the position where a picture was taken out.

Source: CIPA DC-008 (Exif 2.32), 4.6.2 for directories, 4.6.6 for the tags of GPS.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

_SIDES, _ANGLES = (1, 3), (2, 4)
_ASCII, _RATIONAL = 2, 5
_MOST_TAGS = 64


def directory(im: Image.Image, exif: Image.Exif) -> Mapping[int, Any]:
    """The latitude and longitude as the tags 1 to 4 have them.

    Pillow reads all of the directory, which takes five times as long as these four.
    """
    data = im.info.get("exif")
    offset = exif.get(ExifTags.IFD.GPSInfo)
    if isinstance(data, bytes) and isinstance(offset, int):
        while data.startswith(b"Exif\0\0"):
            data = data[6:]
        with contextlib.suppress(struct.error, ZeroDivisionError):
            return _read(data, offset)
    return exif.get_ifd(ExifTags.IFD.GPSInfo)


def _read(data: bytes, offset: int) -> dict[int, Any]:
    order = "<" if data[:2] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    tags: dict[int, Any] = {}
    for start in range(offset + 2, offset + 2 + 12 * min(count, _MOST_TAGS), 12):
        tag, type_, size, value_offset = struct.unpack_from(f"{order}HHLL", data, start)
        if tag in _SIDES and type_ == _ASCII:
            tags[tag] = chr(data[start + 8])
        elif tag in _ANGLES and type_ == _RATIONAL and size == 3:
            parts = struct.unpack_from(f"{order}6L", data, value_offset)
            tags[tag] = (parts[0] / parts[1], parts[2] / parts[3], parts[4] / parts[5])
    return tags


def position(tags: Mapping[int, Any]) -> dict[str, float]:
    """`lat` and `lon` in degrees from a GPS directory, or nothing.

    Cameras that have found no satellite write exactly 0, 0.

    Source: CIPA DC-008 (Exif 2.32), 4.6.6: GPSLatitudeRef, GPSLatitude and so on.
    """
    lat = _degrees(tags.get(2), tags.get(1), "NS", 90)
    lon = _degrees(tags.get(4), tags.get(3), "EW", 180)
    if lat is None or lon is None or lat == lon == 0:
        return {}
    return {"lat": lat, "lon": lon}


def _degrees(value: Any, side: Any, sides: str, limit: int) -> float | None:
    """Signed degrees; six digits are a tenth of a metre."""
    side = side.strip(" \0").upper() if isinstance(side, str) else ""
    if not side or side not in sides:
        return None
    with contextlib.suppress(TypeError, ValueError, ArithmeticError):
        degrees, minutes, seconds = (float(part) for part in value)
        angle = degrees + minutes / 60 + seconds / 3600
        if min(degrees, minutes, seconds) >= 0 and angle <= limit and math.isfinite(angle):
            return round(-angle if side == sides[1] else angle, 6) + 0.0
    return None
