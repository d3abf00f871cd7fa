"""Radiance pictures: every encoding gives the pixels that OpenCV reads, tone-mapped."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clipstack.errors import ImageError, Reason
from clipstack.images import radiance
from clipstack.images.decode import decode
from tests.unit.images import samples
from tests.unit.images.decoding import assert_close, pixels

FORMAT = b"FORMAT=32-bit_rle_rgbe\n"
SIZES = [(1, 1), (1, 300), (7, 40), (8, 1), (9, 300), (300, 2), (211, 97), (32767, 2), (32768, 2)]


def head(width: int, height: int, lines: bytes = FORMAT, resolution: str = "") -> bytes:
    resolution = resolution or f"-Y {height} +X {width}"
    return b"#?RADIANCE\n" + lines + b"\n" + resolution.encode() + b"\n"


def scene(width: int, height: int, repeats: int = 1) -> np.ndarray:
    """float32 [height, width, 3]: noise of all magnitudes, each value `repeats` times in a row."""
    random = np.random.default_rng((width, height, repeats))
    columns = -(-width // repeats)
    exponents = random.integers(-40, 40, (height, columns, 1))
    noise = random.random((height, columns, 3), np.float32) * np.exp2(exponents)
    return noise.astype(np.float32).repeat(repeats, axis=1)[:, :width]


def written(light: np.ndarray, compression: int = cv2.IMWRITE_HDR_COMPRESSION_RLE) -> bytes:
    return samples.opencv(".hdr", light, cv2.IMWRITE_HDR_COMPRESSION, compression)


def opencv_light(data: bytes) -> np.ndarray:
    """float32 RGB [height, width, 3]."""
    light = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert light is not None
    return light[:, :, ::-1]


def light(data: bytes) -> np.ndarray:
    """The same by our reader."""
    header = radiance.read_header(data)
    assert header is not None
    rgbe = radiance.read_rgbe(data, header)
    exponents = rgbe[:, :, 3:].astype(int) - 136
    return np.where(rgbe[:, :, 3:] > 0, np.ldexp(rgbe[:, :, :3].astype(np.float32), exponents), 0)


def old_runs(rgbe: np.ndarray, counts: list[int]) -> bytes:
    """Pixels [n, 4] of the code of before 1991, each repeated by its count, 1 or more."""
    data = b""
    for pixel, count in zip(rgbe, counts, strict=True):
        data += pixel.tobytes()
        rest = count - 1
        while rest:
            data += bytes((1, 1, 1, rest & 255))
            rest >>= 8
    return data


def refusal(data: bytes) -> Reason:
    with pytest.raises(ImageError) as caught:
        decode(data, None)
    return caught.value.reason


class TestPixels:
    @pytest.mark.parametrize("repeats", [1, 3, 5, 400])
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_run_lengths(self, size, repeats):
        data = written(scene(*size, repeats))
        assert np.array_equal(light(data), opencv_light(data))

    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_no_run_lengths(self, size):
        data = written(scene(*size), cv2.IMWRITE_HDR_COMPRESSION_NONE)
        assert np.array_equal(light(data), opencv_light(data))

    def test_random_sizes(self):
        random = np.random.default_rng(0)
        for width, height in random.integers(1, 301, (20, 2)).tolist():
            data = written(scene(width, height, int(random.integers(1, 9))))
            assert np.array_equal(light(data), opencv_light(data)), (width, height)

    def test_rows_without_run_lengths_after_rows_with_them(self):
        whole = scene(40, 12)
        upper, lower = written(whole[:5]), written(whole[5:], cv2.IMWRITE_HDR_COMPRESSION_NONE)
        start = radiance.read_header(lower).start
        data = upper.replace(b"-Y 5 ", b"-Y 12 ") + lower[start:]
        assert np.array_equal(light(data), opencv_light(data))
        assert np.array_equal(light(data), light(written(whole)))

    def test_the_run_lengths_of_before_1991(self):
        random = np.random.default_rng(0)
        rgbe = random.integers(2, 256, (40, 4), np.uint8)
        counts = [1, 2, 255, 256, 257, 70_000, *random.integers(1, 400, 34).tolist()]
        expected = rgbe.repeat(counts, axis=0)
        for width, lines in ((1, FORMAT), (len(expected), b"")):
            data = head(width, len(expected) // width, lines) + old_runs(rgbe, counts)
            read = radiance.read_rgbe(data, radiance.read_header(data))
            assert np.array_equal(read.reshape(-1, 4), expected)

    @pytest.mark.parametrize(
        "lines",
        [
            FORMAT + b"EXPOSURE=2.5\nCOLORCORR=1 2 3\nVIEW= -vp 0 0 0\n",
            b"# a comment\n" + FORMAT + b"GAMMA=2.2\nPRIMARIES=.64 .33 .3 .6 .15 .06 .3 .3\n",
        ],
    )
    def test_other_lines_of_the_header_change_nothing(self, lines):
        data = written(scene(20, 10))
        other = head(20, 10, lines) + data[radiance.read_header(data).start :]
        assert np.array_equal(light(other), light(data))

    def test_what_follows_does_not_matter(self):
        for compression in (cv2.IMWRITE_HDR_COMPRESSION_RLE, cv2.IMWRITE_HDR_COMPRESSION_NONE):
            data = written(scene(20, 10), compression)
            assert np.array_equal(light(data + b"anything"), light(data))

    def test_shared_pictures(self, shared_pictures):
        paths = sorted((shared_pictures / "image-rs/hdr/images").glob("*.hdr"))
        assert paths
        for path in paths:
            data = path.read_bytes()
            assert np.ptp(pixels(data)) > 50
            if path.name != "old-rle.hdr":  # OpenCV does not read it
                assert np.array_equal(light(data), opencv_light(data)), path.name


class TestToneMapping:
    @pytest.mark.parametrize("size", [(1, 1), (48, 32), (700, 900), (300_000, 2)], ids=str)
    def test_the_same_in_double_precision(self, size):
        data = written(scene(*size))
        expected = samples.tone_mapped(np.minimum(opencv_light(data), 1e30))
        got = pixels(data).astype(int)
        assert np.abs(got - expected).max() <= 1
        assert (got == expected).mean() > 0.999

    def test_one_brightness_is_middle_grey(self):
        middle = (0.18 / 1.18) ** (1 / 2.2) * 255
        data = written(np.full((16, 16, 3), 7.0, np.float32))
        assert_close(pixels(data), np.full((16, 16, 3), middle), at_most=1)

    def test_black(self):
        assert pixels(written(np.zeros((9, 9, 3), np.float32))).max() == 0

    def test_the_brightest_there_is(self):
        flat = np.full((3, 9, 4), 255, np.uint8)
        assert pixels(head(9, 3) + flat.tobytes()).min() > 0


class TestRefusals:
    def test_every_length_that_is_too_short(self):
        for compression in (cv2.IMWRITE_HDR_COMPRESSION_RLE, cv2.IMWRITE_HDR_COMPRESSION_NONE):
            data = written(scene(9, 4, 2), compression)
            for length in range(radiance.read_header(data).start, len(data)):
                assert refusal(data[:length]) is Reason.TRUNCATED

    @pytest.mark.parametrize(
        "resolution",
        ["+Y 10 +X 20", "-Y 10 -X 20", "+X 20 -Y 10", "-Y 10", "-Y ten +X 20", "-Y -1 +X 20", ""],
    )
    def test_other_orders_of_the_pixels(self, resolution):
        data = written(scene(20, 10)).replace(b"-Y 10 +X 20", resolution.encode())
        assert refusal(data) is Reason.UNSUPPORTED

    @pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (0, 0)])
    def test_no_pixels(self, width, height):
        assert refusal(head(width, height) + bytes(400)) is Reason.UNREADABLE

    @pytest.mark.parametrize("lines", [b"", b"FORMAT=32-bit_rle_xyze\n"])
    def test_run_lengths_of_another_format(self, lines):
        data = written(scene(20, 10))
        assert FORMAT in data
        assert refusal(data.replace(FORMAT, lines)) is Reason.TRUNCATED

    @pytest.mark.parametrize(
        "row",
        [
            b"\2\2\0\x09",  # the width of another picture
            b"\2\2\0\x08\0",  # nothing follows
            b"\2\2\0\x08\x89\1",  # a run beyond the row
            b"\2\2\0\x08\x09" + b"\1" * 9,  # so many bytes beyond the row
            b"\2\2\x80\x08",
            b"\2\2",
        ],
    )
    @pytest.mark.parametrize("before", [0, 1])
    def test_broken_rows(self, row, before):
        good = b"\2\2\0\x08" + b"\x88\x80" * 4
        data = head(8, 3) + good * before + row
        assert refusal(data) is Reason.TRUNCATED
        assert refusal(data + bytes(10)) is Reason.TRUNCATED

    def test_too_many_or_too_few_old_pixels(self):
        rgbe = np.full((2, 4), 99, np.uint8)
        for counts in ([5, 4], [5, 6], [300, 300]):
            assert refusal(head(10, 1, b"") + old_runs(rgbe, counts)) is Reason.TRUNCATED
        assert refusal(head(10, 1, b"") + b"\1\1\1\x0a" * 9) is Reason.TRUNCATED

    def test_very_many_runs(self, monkeypatch):
        monkeypatch.setattr(radiance, "_MAX_RUNS", 100)
        assert decode(written(scene(20, 5)), None).width == 20
        assert refusal(written(scene(300, 20, 4))) is Reason.TOO_LARGE

    def test_a_picture_that_takes_long(self):
        for width, height in ((35_000_001, 1), (7000, 5001)):
            assert refusal(head(width, height)) is Reason.TOO_LARGE

    def test_broken_bytes_end_in_the_reasons_of_opencv(self):
        """Where OpenCV reads a picture its pixels come out, and nowhere else."""
        random = np.random.default_rng(0)
        good = written(scene(12, 5, 3))
        start = radiance.read_header(good).start
        refused = 0
        for _ in range(300):
            data = bytearray(good)
            at = random.integers(start, len(data), 2)
            data[at[0]], data[at[1]] = random.integers(0, 256, 2)
            read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if read is None:
                assert refusal(bytes(data)) is Reason.TRUNCATED
                refused += 1
            else:
                assert np.array_equal(light(bytes(data)), read[:, :, ::-1])
        assert 50 < refused < 250
