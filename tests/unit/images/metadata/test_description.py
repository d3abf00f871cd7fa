"""What a picture says of itself: camera, place, title, keywords; and what it can't do with that."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from clipstack.images.decode import decode
from clipstack.images.geometry import Geometry
from clipstack.images.metadata import description, gps
from tests.album import exif_of, iptc_of, with_segment, xmp_of, xmp_option

UTF8 = (1, 90, b"\x1b%G")


def saved(kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 24), "teal").save(file, kind, **options)
    return file.getvalue()


def facts(data: bytes) -> Mapping[str, Any]:
    whole = decode(data, None)
    small = decode(data, Geometry("shortest", (16, 16), (16, 16), 3))
    assert dict(whole.facts) == dict(small.facts)
    return whole.facts


def test_a_picture_that_says_nothing() -> None:
    for kind in ("JPEG", "PNG", "WebP", "TIFF", "GIF", "BMP"):
        assert facts(saved(kind)) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "AVIF"])
def test_camera_lens_place_and_orientation(kind: str) -> None:
    exif = exif_of("NIKON CORPORATION", "NIKON D750", place=(-33.8568, 151.2153))
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "50 mm f/1.4"
    said = facts(saved(kind, exif=exif.tobytes()))
    assert said["camera"] == "NIKON D750"
    assert said["lens"] == "50 mm f/1.4"
    assert (said["lat"], said["lon"]) == pytest.approx((-33.8568, 151.2153), abs=1e-5)
    if kind != "AVIF":  # it keeps the turn in its own header
        assert said["orientation"] == 6


@pytest.mark.parametrize(
    ("maker", "model", "name"),
    [
        ("Canon", "Canon EOS 5D Mark IV", "Canon EOS 5D Mark IV"),
        ("NIKON CORPORATION", "COOLPIX P900", "NIKON COOLPIX P900"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("OLYMPUS IMAGING CORP.  ", "E-M10", "OLYMPUS E-M10"),
        ("FUJIFILM\0\0", "X-T4\0", "FUJIFILM X-T4"),
        ("LEICA CAMERA AG", "LEICA M10", "LEICA M10"),
        ("", "Scan\n 9000", "Scan 9000"),
        ("Samsung", "", "Samsung"),
        ("", "", ""),
        (b"Sony", 7, "Sony"),
        (None, None, ""),
    ],
)
def test_the_name_of_a_camera(maker: object, model: object, name: str) -> None:
    assert description.camera(maker, model) == name


@pytest.mark.parametrize(
    "place",
    [
        {},
        {1: "N", 2: (91, 0, 0), 3: "E", 4: (0, 0, 1)},
        {1: "N", 2: (48, 8, 0), 3: "E", 4: (180, 0, 1)},
        {1: "N", 2: (48, 8, 0)},
        {2: (48, 8, 0), 4: (11, 0, 0)},
        {1: "N", 2: (48, -8, 0), 3: "E", 4: (11, 0, 0)},
        {1: "N", 2: (48, 8), 3: "E", 4: (11, 0, 0)},
        {1: "N", 2: ("x", 8, 0), 3: "E", 4: (11, 0, 0)},
        {1: "N", 2: 48.5, 3: "E", 4: 11.5},
        {1: "", 2: (48, 8, 0), 3: "Q", 4: (11, 0, 0)},
        {1: "N", 2: (IFDRational(0, 0), 8, 0), 3: "E", 4: (11, 0, 0)},
        {1: "N", 2: (float("inf"), 8, 0), 3: "E", 4: (11, 0, 0)},
        {1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)},
    ],
)
def test_a_place_that_is_none(place: dict[int, Any]) -> None:
    assert gps.position(place) == {}


def test_both_sides_of_the_zero_lines() -> None:
    def degrees(north: str, east: str) -> tuple[float, float]:
        found = gps.position({1: north, 2: (48, 30, 36), 3: east, 4: (11, 15, 0)})
        return found["lat"], found["lon"]

    assert degrees("N", "E") == (48.51, 11.25)
    assert degrees("s", "W\0") == (-48.51, -11.25)
    assert gps.position({1: "S", 2: (0, 0, 0), 3: "E", 4: (7, 0, 0)}) == {"lat": 0, "lon": 7}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "AVIF"])
def test_xmp(kind: str) -> None:
    packet = xmp_of(title="Ein &lt;Tag&gt;", description="am\nMeer", subject=["See", "SEE", "été"])
    said = facts(saved(kind, **xmp_option(kind, packet)))
    assert said == {
        "title": "Ein <Tag>",
        "description": "am Meer",
        "keywords": ["See", "été"],
    }


@pytest.mark.parametrize(("charset", "code"), [([UTF8], "utf-8"), ([], "latin-1"), ([], "utf-8")])
def test_iptc(charset: list[tuple[int, int, bytes]], code: str) -> None:
    texts = [(2, 5, "Städte"), (2, 25, "Füße"), (2, 25, "Rom"), (2, 120, "Im März")]
    records = [*charset, *((record, number, text.encode(code)) for record, number, text in texts)]
    assert facts(with_segment(saved(), iptc_of(records))) == {
        "title": "Städte",
        "keywords": ["Füße", "Rom"],
        "description": "Im März",
    }


def test_keywords_of_xmp_and_iptc_together() -> None:
    data = saved(xmp=xmp_of(title="of XMP", subject=["sea", "dog"]))
    data = with_segment(data, iptc_of([(2, 5, b"of IPTC"), (2, 25, b"Dog"), (2, 25, b"sun")]))
    assert facts(data) == {"title": "of XMP", "keywords": ["sea", "dog", "sun"]}


def test_texts_of_windows_and_of_exif() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "F__te"
    exif[ExifTags.Base.XPTitle] = "Übung".encode("utf-16-le") + b"\0\0"
    exif[ExifTags.Base.XPKeywords] = "Ärger; Freude;".encode("utf-16-le") + b"\0\0"
    said = facts(saved(exif=exif.tobytes().replace(b"F__te", "Fête".encode())))
    assert said == {"title": "Übung", "description": "Fête", "keywords": ["Ärger", "Freude"]}


def test_every_text_is_bounded_and_can_be_stored() -> None:
    long = "é" * 5000
    words = [f"{number} {long[:300]}" for number in range(500)]
    said = facts(saved("WebP", xmp=xmp_of(title=long, description=long, subject=words)))
    assert len(said["title"].encode()) <= description.TITLE_BYTES
    assert len(said["description"].encode()) <= description.DESCRIPTION_BYTES
    assert len(said["keywords"]) == description.MOST_KEYWORDS
    assert max(len(word.encode()) for word in said["keywords"]) <= description.NAME_BYTES
    odd = "a\ud800b\0c\x1b[31md\u2028e\x85f"
    assert description.clean(odd, 100) == "ab c [31md e f"
    assert description.clean(b"\xff\xfe\x00ab", 100) == "ÿþ ab"
    assert description.clean("e\u0301", 100) == "é"


HOSTILE_XMP = {
    "entities": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + xmp_of(title="&b;"),
    "an external entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    + xmp_of(title="&a;"),
    "cut off": xmp_of(subject=["sea"])[:-150],
    "not XML": b"http://purl.org/dc/elements/1.1/ <<<<\xff\0",
    "nested": xmp_of(more="<a>" * 20000 + "</a>" * 20000, title="deep"),
    "another encoding": b'<?xml version="1.0" encoding="UTF-32"?>' + xmp_of(title="x"),
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE_XMP)
def test_hostile_xmp_is_no_reason_to_refuse_a_picture(name: str) -> None:
    said = facts(saved("WebP", xmp=HOSTILE_XMP[name]))
    assert set(said) <= {"title", "keywords"}
    assert "passwd" not in str(said)
    assert "aaaa" not in str(said)


@pytest.mark.parametrize(
    "records",
    [
        b"\x1c\x02\x19\xff\xff\xff\xff",
        b"\x1c\x02\x19\x00\x05abc",
        b"\x1c\x02\x19\x7f\xff",
        b"nonsense" * 100,
        b"\x1c\x02\x19\x00\x00" * 10000,
    ],
)
def test_broken_iptc_is_no_reason_to_refuse_a_picture(records: bytes) -> None:
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    segment = b"Photoshop 3.0\0" + block
    data = with_segment(saved(), b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment)
    assert set(facts(data)) <= {"keywords"}


def test_broken_exif_leaves_the_rest() -> None:
    data = saved(exif=b"Exif\0\0garbage", xmp=xmp_of(title="still here"))
    assert facts(data) == {"title": "still here"}
