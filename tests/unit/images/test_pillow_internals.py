"""What Pillow does not promise and `clipstack.images` needs: a new Pillow that lacks it fails here.

CONTRIBUTING.md lists these names; `pyproject.toml` bounds Pillow's version for their sake.
"""

from __future__ import annotations

import ctypes
import io

import pytest
from PIL import Image, ImageFile, Jpeg2KImagePlugin, TiffImagePlugin

from tests.unit.images import samples
from tests.unit.images.decoding import saved

UPRIGHT_TIFF = {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}


def opened(data: bytes, factory: type[ImageFile.ImageFile]) -> ImageFile.ImageFile:
    return factory(io.BytesIO(data), "")


@pytest.mark.parametrize("name", ["TIFFSetErrorHandler", "TIFFSetWarningHandler"])
def test_libtiff_can_be_silenced_through_pillows_extension_module(name: str) -> None:
    assert hasattr(ctypes.CDLL(Image.core.__file__), name), (
        f"Pillow's extension module no longer exports {name}: pillow_decoders.py can't keep "
        "libtiff from writing to stderr"
    )


def test_the_size_of_an_image_can_be_set_by_its_class() -> None:
    im = opened(saved(Image.new("RGB", (8, 4)), "TIFF"), TiffImagePlugin.TiffImageFile)
    im._size = (4, 8)
    assert im.size == (4, 8), "Image.size does not follow _size: see pillow_images.py"


def test_a_tiff_is_turned_by_its_own_copy_of_the_exif_data() -> None:
    data = saved(Image.new("RGB", (8, 4)), "TIFF", **UPRIGHT_TIFF)
    im = opened(data, TiffImagePlugin.TiffImageFile)
    assert im.getexif()[0x0112] == 6
    assert (im.size, im.tag_v2[256], im.tag_v2[257]) == ((4, 8), 8, 4), (
        "Pillow no longer gives a TIFF the size after its turn: see pillow_images._TiffImage"
    )
    del im.getexif()[0x0112]
    im._size = (8, 4)
    im.load()
    assert im.size == (8, 4), (
        "Pillow turns a TIFF without an orientation in its EXIF data: see pillow_images._TiffImage"
    )


def test_a_jpeg_2000_picture_has_one_tile_whose_second_argument_is_the_reduction() -> None:
    im = opened(samples.jp2(), Jpeg2KImagePlugin.Jpeg2KImageFile)
    (tile,) = im.tile
    assert tile._fields == ("codec_name", "extents", "offset", "args"), tile
    assert (tile.codec_name, tile.extents, len(tile.args)) == ("jpeg2k", (0, 0, *im.size), 5), (
        f"the tile of a JPEG 2000 picture has changed to {tile}: see pillow_images._Jpeg2000Image"
    )
    im.reduce = 1
    im.load()
    assert im.size == (samples.WIDTH // 2, samples.HEIGHT // 2)


def test_decoders_in_python_may_read_the_file_themselves() -> None:
    assert ImageFile.PyDecoder._pulls_fd is False, (
        "PyDecoder has no _pulls_fd: see pillow_decoders._Decoder"
    )


def test_the_bytes_of_a_tag_are_known_before_they_are_parsed() -> None:
    data = saved(
        Image.new("RGB", (8, 4)), "TIFF", tiffinfo={TiffImagePlugin.IPTC_NAA_CHUNK: b"abc"}
    )
    im = opened(data, TiffImagePlugin.TiffImageFile)
    assert im.tag_v2._tagdata.get(TiffImagePlugin.IPTC_NAA_CHUNK) == b"abc", (
        "tag_v2._tagdata has changed: description.py can't bound the IPTC data of a TIFF, and "
        "leaves out what it says"
    )


def test_a_jpeg_tells_the_sampling_of_its_planes() -> None:
    im = opened(samples.jpeg(), Image.OPEN["JPEG"][0])
    assert [(h, v) for _, h, v, _ in im.layer] == [(1, 1)] * 3, (
        "JpegImageFile.layer has changed: memory_estimate.py can't tell what a progressive JPEG "
        "takes"
    )
