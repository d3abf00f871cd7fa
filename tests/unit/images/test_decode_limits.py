"""What is refused, why, and that it costs neither memory nor time."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipstack.errors import ImageError, Reason
from clipstack.images.decode import Limits, decode, read_file
from clipstack.images.geometry import Geometry
from tests.unit.images import samples

CLIP = Geometry("shortest", (224, 224), (224, 224), Image.Resampling.BICUBIC)


def refusal(
    data: bytes, geometry: Geometry | None = CLIP, limits: Limits | None = None
) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, geometry, limits or Limits(), path="a/b.jpg")
    assert caught.value.path == "a/b.jpg"
    assert "\n" not in caught.value.message
    return caught.value


class TestReadFile:
    def test_the_bytes_come_back(self, tmp_path):
        (tmp_path / "x").write_bytes(b"abc" * 100_000)
        assert read_file(str(tmp_path / "x")) == b"abc" * 100_000

    def test_a_file_as_large_as_the_limit(self, tmp_path):
        path = tmp_path / "x.jpg"
        path.write_bytes(bytes(100))
        assert len(read_file(str(path), Limits(max_bytes=100))) == 100
        with pytest.raises(ImageError) as caught:
            read_file(str(path), Limits(max_bytes=99))
        assert caught.value.reason is Reason.TOO_LARGE

    def test_a_sparse_file_of_a_terabyte_is_not_read(self, tmp_path):
        path = tmp_path / "x.png"
        with path.open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(ImageError) as caught:
            read_file(str(path))
        assert caught.value.reason is Reason.TOO_LARGE

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda path: path.touch(), Reason.EMPTY),
            (lambda path: None, Reason.VANISHED),
            (lambda path: path.symlink_to("nowhere"), Reason.VANISHED),
            (lambda path: path.symlink_to(path.name), Reason.UNREADABLE),
            (lambda path: path.mkdir(), Reason.UNREADABLE),
            (lambda path: os.mkfifo(path), Reason.UNREADABLE),
            (lambda path: path.symlink_to("/dev/zero"), Reason.UNREADABLE),
        ],
        ids=["empty", "missing", "dangling", "loop", "folder", "fifo", "device"],
    )
    def test_what_is_no_readable_file(self, make, reason, tmp_path):
        path = tmp_path / "x.jpg"
        make(path)
        with pytest.raises(ImageError) as caught:
            read_file(str(path))
        assert caught.value.reason is reason
        assert caught.value.path == str(path)

    def test_a_file_below_a_file(self, tmp_path):
        (tmp_path / "x").touch()
        with pytest.raises(ImageError) as caught:
            read_file(str(tmp_path / "x" / "y.jpg"))
        assert caught.value.reason is Reason.VANISHED

    @pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 300])
    def test_an_impossible_name(self, name, tmp_path):
        with pytest.raises(ImageError) as caught:
            read_file(f"{tmp_path}/{name}")
        assert caught.value.reason is Reason.UNREADABLE

    def test_no_permission(self, open_folder, ordinary_user):
        path = open_folder / "x.jpg"
        path.write_bytes(b"x")
        path.chmod(0)
        with ordinary_user, pytest.raises(ImageError) as caught:
            read_file(str(path))
        assert caught.value.reason is Reason.PERMISSION


def test_nothing_is_empty():
    assert refusal(b"").reason is Reason.EMPTY


@pytest.mark.parametrize("data", [b"\0" * 1000, b"hello\n" * 100, b"<html></html>", b"%!PS-Adobe"])
def test_what_is_no_picture_is_unsupported(data):
    assert refusal(data).reason is Reason.UNSUPPORTED


def test_formats_outside_the_table_are_not_opened():
    """Pillow could open these."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    sun = struct.pack(">8I", 0x59A66A95, 4, 4, 24, 48, 1, 0, 0) + bytes(48)
    photoshop = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3) + bytes(200)
    for data in (postscript, sun, photoshop):
        assert refusal(data).reason is Reason.UNSUPPORTED


def test_a_feature_that_is_not_supported():
    data = bytearray(samples.dds())
    struct.pack_into("<2I", data, 4 + 76, 4, int.from_bytes(b"WXYZ", "little"))
    assert refusal(bytes(data)).reason is Reason.UNSUPPORTED


def test_bytes_over_the_limit():
    data = samples.jpeg()
    assert refusal(data, limits=Limits(max_bytes=len(data) - 1)).reason is Reason.TOO_LARGE
    assert decode(data, CLIP, Limits(max_bytes=len(data))).width == samples.WIDTH


PIXELS = samples.WIDTH * samples.HEIGHT


@pytest.mark.parametrize("extension", sorted(samples.SAMPLES))
def test_pixels_over_the_limit(extension):
    data = samples.SAMPLES[extension]().data
    error = refusal(data, None, Limits(max_pixels=PIXELS - 1))
    assert error.reason is Reason.TOO_LARGE
    assert f"{samples.WIDTH} x {samples.HEIGHT}" in error.detail
    assert decode(data, None, Limits(max_pixels=PIXELS)).pixels.size == 3 * PIXELS


@pytest.mark.parametrize("extension", sorted(samples.SAMPLES))
def test_memory_over_the_limit(extension):
    data = samples.SAMPLES[extension]().data
    assert refusal(data, None, Limits(max_memory=len(data))).reason is Reason.TOO_LARGE


def test_a_jpeg_counts_as_large_as_it_is_decoded():
    im = Image.new("RGB", (4000, 3000))
    out = io.BytesIO()
    im.save(out, "JPEG")
    few = Limits(max_pixels=1_000_000)
    assert decode(out.getvalue(), CLIP, few).width == 4000
    assert refusal(out.getvalue(), None, few).reason is Reason.TOO_LARGE


def test_a_jpeg_of_absurd_size():
    data = bytearray(samples.jpeg())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    assert refusal(bytes(data)).reason is Reason.TOO_LARGE


def test_a_progressive_jpeg_of_very_many_scans():
    im = Image.new("RGB", (4000, 4000))
    out = io.BytesIO()
    im.save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    scan = data[last : data.rindex(b"\xff\xd9")]
    bomb = data[:last] + scan * 2000 + b"\xff\xd9"
    assert refusal(bomb).reason is Reason.TOO_LARGE


def claims(width: int, height: int) -> dict[str, bytes]:
    """Small files whose headers claim a picture of any size."""
    png = samples.png(bytes(3), width=1, height=1)
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
    bmp = bytearray(samples.SAMPLES[".bmp"]().data)
    struct.pack_into("<ii", bmp, 18, width, height)
    dds = bytearray(samples.dds())
    struct.pack_into("<II", dds, 12, height, width)
    jp2 = bytearray(samples.codestream())
    struct.pack_into(">II", jp2, 8, width, height)
    struct.pack_into(">II", jp2, 24, width, height)
    qoi = bytearray(samples.qoi())
    struct.pack_into(">II", qoi, 4, width, height)
    hdr = samples.SAMPLES[".hdr"]().data
    files = {
        "png": png,
        "bmp": bytes(bmp),
        "dds": bytes(dds),
        "j2k": bytes(jp2),
        "qoi": bytes(qoi),
        "ppm": f"P6 {width} {height} 255\n".encode() + bytes(99),
        "plain": f"P3 {width} {height} 255\n".encode() + b"1 " * 99,
        "hdr": hdr.replace(b"-Y 32 +X 48", f"-Y {height} +X {width}".encode()),
    }
    if max(width, height) <= 1 << 24:
        extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        webp = b"WEBPVP8X" + struct.pack("<I", 10) + extended
        files["webp"] = b"RIFF" + struct.pack("<I", len(webp)) + webp
    return files


GIANTS = [
    (size, name)
    for size in [(100_000, 100_000), (1, 2_000_000_000), (16_000_000, 32)]
    for name in claims(*size)
]


@pytest.mark.parametrize(("size", "name"), GIANTS)
def test_a_header_that_claims_a_giant(size, name):
    assert refusal(claims(*size)[name]).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("field", [6, 14 + 3 * 128])
def test_a_gif_that_claims_a_giant(field):
    data = bytearray(samples.gif())
    at = field if field == 6 else data.index(b",", 13 + 3 * 128) + 5
    struct.pack_into("<HH", data, at, 65535, 65535)
    assert refusal(bytes(data)).reason is Reason.TOO_LARGE


def test_an_icon_that_holds_a_giant():
    giant = claims(100_000, 100_000)["png"]
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(giant), 22)
    assert refusal(struct.pack("<HHH", 0, 1, 1) + entry + giant).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_compressed_bomb_beside_the_pixels(name):
    bomb = zlib.compress(bytes(20_000_000), 9)
    body = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[name] + bomb
    data = samples.png(samples.pattern().tobytes(), before=(samples.chunk(name, body),))
    assert refusal(data).reason is Reason.UNREADABLE


def with_many_parts() -> dict[str, bytes]:
    """Pictures with a header of millions of parts, each of which costs a step of Python."""
    jpeg, gif, rows = samples.jpeg(), samples.gif(), samples.pattern().tobytes()
    head = 13 + 3 * 128
    return {
        "jpeg": jpeg[:2] + b"\xff\xe5\0\2" * 2_000_000 + jpeg[2:],
        "fill bytes": jpeg[:2] + b"\xff" * 2_000_000 + jpeg[2:],
        "png": samples.png(rows, before=(samples.chunk(b"abCd", b"") * 1_000_000,)),
        "gif": gif[:head] + b"!\xf9\1x\0" * 1_000_000 + gif[head:],
        "comment": gif[:head] + b"!\xfe" + b"\1x" * 2_000_000 + b"\0" + gif[head:],
        "pnm": b"P6 #" + b"x" * 2_000_000 + b"\n48 32 255\n" + rows,
    }


@pytest.mark.parametrize("name", ["comment", "fill bytes", "gif", "jpeg", "png", "pnm"])
def test_a_header_of_millions_of_parts(name):
    assert refusal(with_many_parts()[name]).reason is Reason.UNREADABLE


def test_a_jpeg_2000_picture_of_very_many_tiles():
    data = bytearray(samples.codestream())
    struct.pack_into(">II", data, 24, 1, 1)
    struct.pack_into(">II", data, 8, 5000, 5000)
    assert refusal(bytes(data)).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("extension", sorted(set(samples.SAMPLES) - {".mpo", ".apng"}))
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_refused(extension, part):
    data = samples.SAMPLES[extension]().data
    error = refusal(data[: int(len(data) * part)])
    assert error.reason in (Reason.TRUNCATED, Reason.UNREADABLE)


@pytest.mark.parametrize(
    "extension", [".jpg", ".png", ".gif", ".bmp", ".ppm", ".tga", ".dds", ".qoi", ".webp", ".hdr"]
)
def test_a_file_that_is_cut_off_is_called_truncated(extension):
    data = samples.SAMPLES[extension]().data
    assert refusal(data[: len(data) * 2 // 3]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_that_is_cut_off_is_refused(progressive):
    """Also where only a fraction of its size is decoded."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((1600, 1200)).save(out, "JPEG", progressive=progressive)
    data = out.getvalue()
    for part in (0.1, 0.5, 0.9, 0.99):
        assert refusal(data[: int(len(data) * part)]).reason is Reason.TRUNCATED


def test_a_jpeg_without_its_end_marker_is_refused():
    """Without it a complete scan can't be told from one that lacks its last rows."""
    data = samples.jpeg()
    assert data.endswith(b"\xff\xd9")
    assert refusal(data[:-2]).reason is Reason.TRUNCATED


def test_what_follows_a_picture_does_not_matter():
    for extension in (".jpg", ".png", ".gif", ".bmp", ".qoi"):
        sample = samples.SAMPLES[extension]()
        assert decode(sample.data + b"anything" * 100, None).width == samples.WIDTH


@pytest.mark.parametrize("extension", sorted(samples.SAMPLES))
def test_every_byte_of_the_header_may_be_wrong(extension):
    """Whatever happens, it is an ImageError."""
    data = samples.SAMPLES[extension]().data
    outcomes = {"decoded": 0, "refused": 0}
    for at in range(min(len(data), 160)):
        broken = data[:at] + bytes([data[at] ^ 0x81]) + data[at + 1 :]
        try:
            picture = decode(broken, CLIP)
        except ImageError:
            outcomes["refused"] += 1
        else:
            assert picture.pixels.shape == (224, 224, 3)
            outcomes["decoded"] += 1
    assert outcomes["refused"] > 0


def test_broken_pictures_write_nothing_to_the_terminal(capfd):
    for extension in (".tif", ".tiff", ".hdr", ".png", ".jpg", ".webp", ".jp2", ".avif"):
        data = samples.SAMPLES[extension]().data
        for at in range(8, len(data), max(1, len(data) // 50)):
            broken = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
            try:
                decode(broken, CLIP)
            except ImageError:
                continue
    assert capfd.readouterr() == ("", "")


def test_shared_pictures_with_faults(shared_pictures: Path):
    for name in ("badpalettesize.bmp", "rle_overflow.bmp", "pal8oversizepal.bmp"):
        refusal((shared_pictures / "image-rs/bmp/images/lenient" / name).read_bytes())
