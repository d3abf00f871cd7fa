"""Pictures opened by Pillow but not loaded, and reduced to what a model needs of them."""

from __future__ import annotations

import io

from PIL import ExifTags, Image, ImageFile, Jpeg2KImagePlugin, TiffImagePlugin

from clipstack.errors import ImageError, Reason
from clipstack.images import formats, headers
from clipstack.images.formats import Format
from clipstack.images.geometry import Geometry
from clipstack.images.metadata.orientation_and_date import STORED_ORIENTATION
from clipstack.images.resize import Box

_JPEG_GAP = 1.5
_JPEG2000_GAP = 3
_MAX_PIXELS_TO_LEAVE_OUT_FROM = 500_000_000
_JPEG_MAX_SCANNED = 3_000_000_000
_JPEG_MANY_SCANS = 12


class _TiffImage(TiffImagePlugin.TiffImageFile):
    """A TIFF that stays as it is stored.

    Pillow turns it upright while loading, which takes its memory twice: by the image's own copy of
    the EXIF data; and it gives the size after the turn.
    """

    def keep_as_stored(self) -> None:
        orientation = self.getexif().pop(ExifTags.Base.Orientation, None)
        self._size = self.tag_v2[256], self.tag_v2[257]
        self.info[STORED_ORIENTATION] = orientation


class _Jpeg2000Image(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """A JPEG 2000 picture that can be decoded to a part of its size.

    Pillow's own `reduce` rounds the size to nearest, OpenJPEG rounds it up, and they then refuse
    each other.
    """

    def halve(self, times: int, size: tuple[int, int]) -> None:
        """Decode to `size`, (width, height) in pixels after so many halvings."""
        tile = self.tile[0]
        assert isinstance(tile.args, tuple)
        codec, _, *rest = tile.args
        self._size = size
        self.tile = [tile._replace(extents=(0, 0, *size), args=(codec, times, *rest))]


# `_size` and `tile` are what Pillow asks a plugin's class of an image to set:
# https://pillow.readthedocs.io/en/stable/handbook/writing-your-own-image-plugin.html
_IMAGE_CLASSES = {"TIFF": _TiffImage, "JPEG2000": _Jpeg2000Image}


def open_image(data: bytes, kind: Format) -> ImageFile.ImageFile:
    """Open a picture with the plugin for its format, so that an error is that plugin's own.

    Raises:
        Exception: nearly any, for a broken picture.
    """
    error: Exception = ValueError("its header is broken")
    for name in kind.pillow:
        if name not in Image.OPEN:
            Image.init()
        factory, accepts = Image.OPEN[name]
        if accepts is not None and accepts(data[:16]) is not True:
            continue
        try:
            im = _IMAGE_CLASSES.get(name, factory)(io.BytesIO(data), "")
        except (SyntaxError, ValueError) as failed:
            error = failed
            continue
        if kind in (formats.JPEG, formats.JPEG2000):
            _check_full_size(im)
        if kind is formats.JPEG:
            _check_scans(im, data)
        elif kind is formats.PNG:
            _match_key_to_pixels(im, data)
        elif isinstance(im, _TiffImage):
            im.keep_as_stored()
        return im
    raise error


def reduce_detail(
    im: ImageFile.ImageFile, data: bytes, kind: Format, geometry: Geometry, orientation: int
) -> Box | None:
    """Let the decoder leave out detail that the model's size does not need.

    Measured at 224 pixels on pictures of 1 to 10 megapixels: the pixels differ from those of the
    whole picture by 0.3 of 255 on average (at most 0.5) for JPEG at 1.5 times the wanted size,
    and the vectors of ViT-B/32 by a cosine distance of 6e-7, a hundredth of what bfloat16 takes;
    for JPEG 2000 at three times by 0.8 of 255.

    Returns:
        Where the whole picture lies in the smaller one, or None when nothing is left out.
    """
    tall, wide = geometry.turned(orientation).resized(im.height, im.width)
    if kind is formats.JPEG and not headers.jpeg_frame(data).is_lossless:
        width = im.width
        drafted = im.draft("RGB", (round(_JPEG_GAP * wide), round(_JPEG_GAP * tall)))
        return drafted[1] if drafted and im.width != width else None
    if isinstance(im, _Jpeg2000Image):
        return _halve_jpeg2000(im, data, _JPEG2000_GAP * wide, _JPEG2000_GAP * tall)
    return None


def _halve_jpeg2000(im: _Jpeg2000Image, data: bytes, wide: int, tall: int) -> Box | None:
    stream = headers.jpeg2000(data)
    if stream is None or (stream.width, stream.height) != im.size:
        return None
    halvings = 0
    while (
        halvings < stream.levels
        and im.width >> (halvings + 1) >= wide
        and im.height >> (halvings + 1) >= tall
    ):
        halvings += 1
    if not halvings:
        return None
    size = stream.halved(halvings)
    # A halved row keeps the places of the even samples (ISO/IEC 15444-1, annex F.3), so the
    # picture lies a little to the right of and below the corner.
    scale = 1 << halvings
    shift = 0.5 - 0.5 / scale
    right, bottom = im.width / scale + shift, im.height / scale + shift
    im.halve(halvings, size)
    return shift, shift, min(right, size[0]), min(bottom, size[1])


def _check_full_size(im: ImageFile.ImageFile) -> None:
    """Refuse sizes that take long to read, even where most of the picture is left out."""
    if im.width * im.height > _MAX_PIXELS_TO_LEAVE_OUT_FROM:
        limit = _MAX_PIXELS_TO_LEAVE_OUT_FROM
        detail = f"{im.width} x {im.height} pixels, the limit is {limit} pixels"
        raise ImageError("", Reason.TOO_LARGE, detail)


def _check_scans(im: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse numbers of scans that would take minutes."""
    if headers.jpeg_frame(data).in_one_scan:
        return
    pixels = im.width * im.height
    scans = data.count(b"\xff\xda")
    if scans > _JPEG_MANY_SCANS and scans * pixels > _JPEG_MAX_SCANNED:
        raise ImageError("", Reason.TOO_LARGE, f"{scans} scans of {pixels} pixels")


def _match_key_to_pixels(im: ImageFile.ImageFile, data: bytes) -> None:
    """Pillow keeps the high byte of 16-bit colour, but all of the transparent colour."""
    key = im.info.get("transparency")
    if isinstance(key, tuple) and data[24:25] == b"\x10":
        im.info["transparency"] = tuple(value >> 8 for value in key)
