"""Pictures of shapes with cameras, dates, places and keywords of their own, all known."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from clipstack.scenes import Scene, demo_scenes

CAMERAS = (("NIKON CORPORATION", "NIKON D750"), ("Canon", "Canon EOS 5D"), ("Apple", "iPhone 15"))
# Degrees: a few km apart around Munich, both sides of the date line, close to a pole.
PLACES = (
    *((48.137, 11.575), (48.150, 11.600), (48.262, 11.668)),
    *((-17.80, 179.95), (-17.80, -179.95), (89.95, 10.0), (89.95, -170.0)),
)
KEYWORDS = (("Holiday", "Füße"), ("holiday",), ("Work",))
_KINDS = ("JPEG", "PNG", "WebP")
_SIZES = (64, 96, 128)


@dataclass(frozen=True)
class Photo:
    """One picture of the album and what it says of itself; empty where it says nothing."""

    path: Path
    scene: Scene
    kind: str
    pixels: int
    camera: str = ""
    taken: datetime | None = None
    place: tuple[float, float] | None = None
    keywords: tuple[str, ...] = ()


def make_album(folder: Path, count: int = 70) -> list[Photo]:
    """Draw `count` pictures into `folder`; every fourth says nothing of itself."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_make(folder, number, scene) for number, scene in enumerate(demo_scenes(count))]


def _make(folder: Path, number: int, scene: Scene) -> Photo:
    kind, pixels = _KINDS[number % 3], _SIZES[number % 3]
    path = folder / f"{scene.name}.{kind.lower()}"
    drawn = scene.draw(random.Random(number), pixels)
    if number % 4 == 3:
        drawn.save(path, kind)
        return Photo(path, scene, kind, pixels)
    maker, model = CAMERAS[number % 5 % 3]
    taken = datetime(2020 + number % 5, 1 + number % 12, 1 + number % 28, 12, 30, tzinfo=UTC)
    place = PLACES[number % 9] if number % 9 < len(PLACES) else None
    keywords = KEYWORDS[number % 4]
    xmp = xmp_of(subject=keywords)
    drawn.save(
        path, kind, exif=exif_of(maker, model, taken, place).tobytes(), **xmp_option(kind, xmp)
    )
    camera = f"Apple {model}" if maker == "Apple" else model
    return Photo(path, scene, kind, pixels, camera, taken, place, keywords)


def xmp_option(kind: str, xmp: bytes) -> dict[str, Any]:
    """What Pillow's `save` needs for an XMP packet."""
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return {"pnginfo": info}
    if kind == "TIFF":
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        tags = ImageFileDirectory_v2()
        tags[700] = xmp
        return {"tiffinfo": tags}
    return {"xmp": xmp}


def exif_of(
    maker: str = "",
    model: str = "",
    taken: datetime | None = None,
    place: tuple[float, float] | None = None,
) -> Image.Exif:
    """EXIF data as a camera writes them."""
    exif = Image.Exif()
    if maker:
        exif[ExifTags.Base.Make] = maker
    if model:
        exif[ExifTags.Base.Model] = model
    if taken:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if place:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        gps[1], gps[2] = ("S" if place[0] < 0 else "N"), _dms(place[0])
        gps[3], gps[4] = ("W" if place[1] < 0 else "E"), _dms(place[1])
    return exif


def _dms(degrees: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    exact = Fraction(str(abs(degrees)))
    whole = int(exact)
    minutes = int((exact - whole) * 60)
    seconds = (exact - whole) * 3600 - minutes * 60
    return (
        *(IFDRational(whole), IFDRational(minutes)),
        IFDRational(int(seconds * 100), 100),
    )


def xmp_of(
    *, title: str = "", description: str = "", subject: Sequence[str] = (), more: str = ""
) -> bytes:
    """An XMP packet."""

    def alternatives(name: str, text: str) -> str:
        if not text:
            return ""
        return (
            f'<dc:{name}><rdf:Alt><rdf:li xml:lang="de">(de)</rdf:li>'
            f'<rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:{name}>'
        )

    bag = "".join(f"<rdf:li>{one}</rdf:li>" for one in subject)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"{alternatives('title', title)}{alternatives('description', description)}"
        f"<dc:subject><rdf:Bag>{bag}</rdf:Bag></dc:subject>{more}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc_of(records: Sequence[tuple[int, int, bytes]]) -> bytes:
    """IPTC records as a JPEG's APP13 segment holds them."""
    data = b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in records
    )
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    segment = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment


def with_segment(jpeg: bytes, segment: bytes) -> bytes:
    """A JPEG with one more segment at its start."""
    return jpeg[:2] + segment + jpeg[2:]
