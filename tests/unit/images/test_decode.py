"""Of every file the right picture is taken, turned upright, with the time it was taken."""

from __future__ import annotations

import struct
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from clipstack.images.decode import decode
from clipstack.images.geometry import Geometry
from clipstack.images.metadata.orientation_and_date import seconds
from tests.unit.images import samples
from tests.unit.images.decoding import assert_close, over_white, pixels, saved, tiff

CLIP = Geometry("shortest", (224, 224), (224, 224), Image.Resampling.BICUBIC)
SIGLIP = Geometry("exact", (256, 256), None, Image.Resampling.BILINEAR)


class TestOwnDecoders:
    """Formats that Pillow reads slowly."""

    @pytest.mark.parametrize("size", [(5, 5), (31, 17), (64, 64)])
    @pytest.mark.parametrize("bands", [3, 4])
    def test_qoi_with_every_chunk(self, size, bands):
        """Runs, repeated colours, small and large steps: Pillow writes the file."""
        generator = np.random.default_rng(bands)
        steps = generator.integers(-20, 20, (size[1], size[0], bands)) * 2
        smooth = np.cumsum(steps // generator.choice([1, 8, 40], (*steps.shape[:2], 1)), axis=1)
        values = (smooth + 128).astype(np.uint8)
        values[2] = values[1]
        values[3, 2:] = values[3, 1]
        got = pixels(saved(Image.fromarray(values), "QOI"))
        wanted = values if bands == 3 else over_white(values[:, :, :3], values[:, :, 3])
        assert_close(got, wanted, at_most=0 if bands == 3 else 1)


class TestFrames:
    def test_only_the_first_page_of_a_tiff(self):
        data = tiff(np.stack([samples.grey(), 255 - samples.grey()]), photometric="minisblack")
        assert_close(pixels(data), samples.as_rgb(samples.grey()), at_most=0)

    def test_only_the_first_frame_of_gif_and_webp(self):
        first, second = Image.fromarray(samples.pattern()), Image.new("RGB", (48, 32), "red")
        for kind, settings in (("GIF", {}), ("WEBP", {"lossless": True})):
            data = saved(first, kind, save_all=True, append_images=[second], **settings)
            assert_close(pixels(data), samples.pattern(), at_most=0)

    def test_the_largest_picture_of_an_icon_that_holds_pngs(self):
        im = Image.fromarray(samples.pattern()).resize((64, 64))
        data = saved(im, "ICO", sizes=[(16, 16), (64, 64), (32, 32)])
        assert decode(data, None).width == 64


def exif(orientation: int | None = None, moment: str = "", offset: str = "") -> Image.Exif:
    data = Image.Exif()
    if orientation is not None:
        data[0x0112] = orientation
    details = data.get_ifd(0x8769)
    if moment:
        details[0x9003] = moment
    if offset:
        details[0x9011] = offset
    return data


STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[:, ::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[::-1].swapaxes(0, 1),
}
"""EXIF orientation -> how an upright picture is stored under it (CIPA DC-008, figure 5)."""


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
    def test_every_kind_that_carries_exif(self, kind, orientation):
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](samples.pattern())))
        settings = {
            "WEBP": {"lossless": True},
            "JPEG": {"quality": 95, "subsampling": 0},
            "AVIF": {"quality": 95, "subsampling": "4:4:4"},
        }.get(kind, {})
        picture = decode(saved(stored, kind, exif=exif(orientation), **settings), None)
        assert (picture.width, picture.height) == (samples.WIDTH, samples.HEIGHT)
        difference = np.abs(picture.pixels.astype(int) - samples.pattern()).mean()
        assert difference <= (6 if kind in ("JPEG", "AVIF") else 0)

    @pytest.mark.parametrize("geometry", [CLIP, SIGLIP, Geometry("exact", (64, 192), None, 3)])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_large_jpeg_that_is_decoded_to_a_fraction(self, orientation, geometry):
        upright = np.asarray(Image.fromarray(samples.pattern()).resize((1920, 1280), 3))
        stored = np.ascontiguousarray(STORED[orientation](upright))
        data = saved(Image.fromarray(stored), "JPEG", quality=95, exif=exif(orientation))
        wanted = decode(saved(Image.fromarray(upright), "JPEG", quality=95), geometry)
        got = decode(data, geometry)
        assert (got.width, got.height) == (1920, 1280)
        assert np.abs(got.pixels.astype(int) - wanted.pixels).mean() < 0.6

    @pytest.mark.parametrize("orientation", [0, 9, 255, 60000])
    def test_an_absurd_orientation_counts_as_upright(self, orientation):
        data = saved(Image.fromarray(samples.pattern()), "PNG", exif=exif(orientation))
        assert_close(pixels(data), samples.pattern(), at_most=0)

    @pytest.mark.parametrize(
        "garbage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"xyz"]
    )
    def test_broken_exif_data_do_not_matter(self, garbage):
        jpeg = samples.jpeg()
        segment = b"\xff\xe1" + struct.pack(">H", len(garbage) + 2) + garbage
        assert decode(jpeg[:2] + segment + jpeg[2:], CLIP).taken_at == 0

    def test_png_with_its_exif_data_behind_the_pixels(self):
        data = exif(6).tobytes().removeprefix(b"Exif\0\0")
        stored = np.ascontiguousarray(STORED[6](samples.pattern()))
        height, width = stored.shape[:2]
        png = samples.png(
            stored.tobytes(), width=width, height=height, after=(samples.chunk(b"eXIf", data),)
        )
        assert_close(pixels(png), samples.pattern(), at_most=0)


def tiff_with_time(moment: bytes) -> bytes:
    """One grey pixel and an Exif directory, by TIFF 6.0."""
    moment += b"\0"
    entries = [
        (256, 4, 1, 1),
        (257, 4, 1, 1),
        (258, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 1),
    ]
    details_at = 10 + 2 + 12 * (len(entries) + 1) + 4
    entries.append((0x8769, 4, 1, details_at))
    main = struct.pack("<H", len(entries))
    main += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    details = struct.pack("<HHHII", 1, 0x9003, 2, len(moment), details_at + 18) + bytes(4)
    return b"II*\0" + struct.pack("<I", 10) + b"\x80\0" + main + details + moment


class TestTakenAt:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_the_time_is_read(self, kind):
        data = exif(1, "2024:05:01 12:30:00", "+02:00").tobytes()
        file = saved(Image.fromarray(samples.pattern()), kind, exif=data)
        moment = datetime(2024, 5, 1, 10, 30, tzinfo=UTC).timestamp()
        assert decode(file, CLIP).taken_at == int(moment)

    def test_the_time_of_a_tiff_is_read(self):
        assert decode(tiff_with_time(b"1970:01:01 00:01:00"), CLIP).taken_at == 60

    @pytest.mark.parametrize(
        ("moment", "offset", "wanted"),
        [
            ("1970:01:01 00:01:00", None, 60),
            ("1970:01:01 00:01:00\0", "", 60),
            ("1970:01:01 02:00:00", "+02:00", 0),
            ("1970:01:01 00:00:00", "-01:30", 5400),
            ("1969:12:31 23:59:59", "garbage", -1),
            ("0000:00:00 00:00:00", None, 0),
            ("    :  :     :  :  ", None, 0),
            ("2024-05-01", None, 0),
            (b"1970:01:01 00:01:00", None, 0),
            (None, "+02:00", 0),
        ],
    )
    def test_times(self, moment, offset, wanted):
        assert seconds(moment, offset) == wanted


def test_threads_get_the_same_pixels_as_one():
    data = [SAMPLE().data for SAMPLE in samples.SAMPLES.values()] * 4
    alone = [decode(one, CLIP).pixels for one in data]
    together: list[np.ndarray | None] = [None] * len(data)

    def work(start: int) -> None:
        for i in range(start, len(data), 4):
            together[i] = decode(data[i], CLIP).pixels

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)
