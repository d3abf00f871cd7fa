"""How many bytes decoding a picture will take, before it takes them."""

from __future__ import annotations

from PIL import ImageFile, TiffImagePlugin

from clipstack.images import formats, headers
from clipstack.images.formats import Format

# Peak bytes per pixel beside Pillow's own picture, measured: WebP keeps two canvases and copies
# one, AVIF keeps planes of up to 16 bits and copies the result twice, the rest build the pixels
# in Python.
_EXTRA = {formats.WEBP: 12, formats.AVIF: 14, formats.ICO: 12, formats.QOI: 8}
_EXTRA_BY_DECODER = {"ppm": 4, "ppm_plain": 10, "dds_rgb": 5, "bmp_rle": 3}
_BYTES_PER_ROW = 8
_TGA_FROM_THE_RIGHT = 0x10
_SLOW_DECODERS = {"qoi": 12_000_000, "jpeg2k": 24_000_000, "bmp_rle": 25_000_000}


def bytes_per_pixel(mode: str) -> int:
    """Bytes that Pillow keeps for one pixel of a mode."""
    if mode in ("1", "L", "P"):
        return 1
    return 2 if mode.startswith("I;16") else 4


def before_opening(kind: Format, pixels: int) -> int:
    """Bytes for a picture of a format that takes memory as soon as it is opened."""
    return pixels * (4 + _EXTRA.get(kind, 0) if kind is not formats.GIF else 2)


def after_opening(
    im: ImageFile.ImageFile, data: bytes, kind: Format, full_pixels: int, *, result_bytes: int
) -> int:
    """Bytes for an opened picture that is not loaded yet, without those of the file.

    Args:
        im: the picture, after `pillow_images.reduce_detail`.
        data: its file.
        kind: its format.
        full_pixels: width x height by the header.
        result_bytes: bytes per pixel of the result, where that is the whole picture.
    """
    pixels = im.width * im.height
    extra = pixels * (_EXTRA.get(kind, 0) + _EXTRA_BY_DECODER.get(_decoder(im), 0))
    if kind is formats.JPEG:
        extra += _jpeg_coefficients(im, data, full_pixels)
    elif kind is formats.JPEG2000:
        extra += _jpeg2000_tile(data, pixels / full_pixels)
    elif isinstance(im, TiffImagePlugin.TiffImageFile) and _decoder(im) == "libtiff":
        extra += _tiff_strip(im)
    elif kind is formats.TGA and data[17] & _TGA_FROM_THE_RIGHT:
        extra += pixels * bytes_per_pixel(im.mode)
    return pixels * (bytes_per_pixel(im.mode) + result_bytes) + _BYTES_PER_ROW * im.height + extra


def slow_pixels(im: ImageFile.ImageFile) -> int | None:
    """The most pixels that a slow decoder gets through in some seconds; None for a fast one."""
    return _SLOW_DECODERS.get(_decoder(im))


def _decoder(im: ImageFile.ImageFile) -> str:
    return im.tile[0].codec_name if im.tile else ""


def _jpeg_coefficients(im: ImageFile.ImageFile, data: bytes, pixels: int) -> int:
    """libjpeg keeps all coefficients, 16 bits each, when they come in several scans."""
    layers: list[tuple[int, int, int, int]] = getattr(im, "layer", [])
    if not layers or headers.jpeg_frame(data).in_one_scan:
        return 0
    densest = max(h for _, h, _, _ in layers) * max(v for _, _, v, _ in layers)
    return 2 * pixels * sum(h * v for _, h, v, _ in layers) // max(1, densest)


def _jpeg2000_tile(data: bytes, share: float) -> int:
    """OpenJPEG keeps 32 bits per sample of a tile and a copy, and some kB for a tile's header.

    Args:
        data: the file.
        share: of the pixels, how many are decoded, 0 to 1.
    """
    stream = headers.jpeg2000(data)
    if stream is None:
        return 0
    tile = stream.tile_width * stream.tile_height * stream.components
    return int(tile * 6 * share) + stream.tiles * (6000 + 2000 * stream.components)


def _tiff_strip(im: TiffImagePlugin.TiffImageFile) -> int:
    """libtiff decodes whole strips or tiles."""
    tags = im.tag_v2
    bits = tags.get(258, (8,))
    sample_bits = sum(bits) if isinstance(bits, tuple) else int(bits)
    if 324 in tags:
        area = int(tags.get(322, 0)) * int(tags.get(323, 0))
    else:
        area = im.width * min(int(tags.get(278, im.height)), im.height)
    return area * max(1, sample_bits) // 8
