"""EXIF data: how a picture is turned upright, and when it was taken."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from clipstack.images.metadata import description
from clipstack.images.resize import Box

_SOURCES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "photoshop")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


STORED_ORIENTATION = "clipstack:orientation"
"""Where in `info` the orientation lies that was taken out of a picture's EXIF data."""


class ExifFacts(NamedTuple):
    """What EXIF and XMP data say.

    Attributes:
        orientation: 1 to 8, how the picture is stored.
        taken_at: seconds since 1970, or 0.
        more: the facts of `description.facts`, and the orientation where it is not 1.
    """

    orientation: int
    taken_at: int
    more: Mapping[str, Any] = MappingProxyType({})


NOTHING = ExifFacts(1, 0)


def facts(im: Image.Image) -> ExifFacts:
    """Read what a picture says of itself; missing, broken and absurd data count as none.

    Times without an offset are taken as UTC.

    Source: CIPA DC-008 (Exif 2.32), tags 0x0112, 0x9003 and 0x9011.
    """
    if im.format != "TIFF" and not any(source in im.info for source in _SOURCES):
        return NOTHING
    orientation, taken_at, _ = NOTHING
    data: Image.Exif | None = None
    details: Mapping[int, Any] = {}
    more: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # metadata never keep a picture from being decoded
        data = im.getexif()
        stored_orientation = data.get(ExifTags.Base.Orientation) or im.info.get(STORED_ORIENTATION)
        if isinstance(stored_orientation, int) and 1 <= stored_orientation <= 8:
            orientation = stored_orientation
        details = data.get_ifd(ExifTags.IFD.Exif)
        taken_at = seconds(
            details.get(ExifTags.Base.DateTimeOriginal),
            details.get(ExifTags.Base.OffsetTimeOriginal),
        )
    with contextlib.suppress(Exception):
        more = description.facts(im, data, details)
    if orientation != 1:
        more["orientation"] = orientation
    return ExifFacts(orientation, taken_at, more)


def seconds(moment: object, offset: object = None) -> int:
    """Seconds since 1970 of an EXIF time such as "2024:05:01 12:30:00", or 0 when it is none.

    Args:
        moment: the value of DateTimeOriginal.
        offset: the value of OffsetTimeOriginal, such as "+02:00"; anything else means UTC.
    """
    if not isinstance(moment, str):
        return 0
    try:
        local = datetime.strptime(moment.strip(" \0")[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return 0
    if isinstance(offset, str):
        with contextlib.suppress(ValueError):
            zone = datetime.strptime(offset.strip(" \0"), "%z").tzinfo
            return int(local.replace(tzinfo=zone).timestamp())
    return int(local.replace(tzinfo=UTC).timestamp())


def upright(im: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as its EXIF orientation asks."""
    turn = _TURNS.get(orientation)
    return im if turn is None else im.transpose(turn)


def upright_array(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The same for an array of shape [height, width, ...]; a copy, contiguous, if it is turned."""
    if swaps_edges(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def swaps_edges(orientation: int) -> bool:
    """Whether width and height change places when the picture is turned upright."""
    return orientation >= 5


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) of the upright picture from that of the stored one."""
    return (size[1], size[0]) if swaps_edges(orientation) else size


def upright_box(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Where a (left, top, right, bottom) box of the stored picture lies in the upright one.

    Args:
        box: in pixels of the stored picture.
        size: (width, height) of the stored picture.
        orientation: by EXIF, 1 to 8.
    """
    left, top, right, bottom = box
    if orientation in (2, 3, 7, 8):
        left, right = size[0] - right, size[0] - left
    if orientation in (3, 4, 6, 7):
        top, bottom = size[1] - bottom, size[1] - top
    return (top, left, bottom, right) if swaps_edges(orientation) else (left, top, right, bottom)
