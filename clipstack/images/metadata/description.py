"""An opened picture's EXIF, IPTC and XMP data in; camera, place, title and keywords out.

What is missing, broken or absurd is left out. Every text is valid UTF-8 without control
characters and no longer than its limit.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import ExifTags, Image, IptcImagePlugin, TiffImagePlugin

from clipstack.images.metadata import gps, xmp

MOST_KEYWORDS = 64
NAME_BYTES, TITLE_BYTES, DESCRIPTION_BYTES = 100, 300, 2000
# More than in any picture that was not made to keep a reader busy.
_IPTC_BYTES = 1 << 18
_UTF8_IPTC = b"\x1b%G"
_COMPANY = re.compile(
    r",?\s+(corporation|corp|company|co|inc|ltd|gmbh|ag|imaging|optical|electric|digital camera)"
    r"\b\.?",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")


def facts(im: Image.Image, exif: Image.Exif | None, details: Mapping[int, Any]) -> dict[str, Any]:
    """The facts about a picture; a name without a value is left out.

    Args:
        exif: its EXIF data; None when they are broken.
        details: their second directory, Exif's own.

    Returns:
        camera, lens, title, description: str; lat, lon: degrees, north and east positive;
        keywords: list of str.
    """
    tags: Mapping[int, Any] = {} if exif is None else exif
    facts: dict[str, Any] = {
        "camera": camera(tags.get(ExifTags.Base.Make), tags.get(ExifTags.Base.Model)),
        "lens": clean(details.get(ExifTags.Base.LensModel), NAME_BYTES),
    }
    if exif is not None and ExifTags.IFD.GPSInfo in exif:
        with contextlib.suppress(Exception):
            facts |= gps.position(gps.directory(im, exif))
    iptc, xmp_texts = _iptc(im), _xmp(im)
    facts["title"] = _first(
        TITLE_BYTES,
        *(*xmp_texts.title, *iptc.get((2, 5), ()), _windows(tags.get(ExifTags.Base.XPTitle))),
    )
    facts["description"] = _first(
        DESCRIPTION_BYTES,
        *(*xmp_texts.description, *iptc.get((2, 120), ())),
        tags.get(ExifTags.Base.ImageDescription),
    )
    facts["keywords"] = _keywords(
        *(xmp_texts.subject, iptc.get((2, 25), ())),
        _windows(tags.get(ExifTags.Base.XPKeywords)).split(";"),
    )
    return {name: value for name, value in facts.items() if value not in ("", None, [])}


def camera(make: object, model: object) -> str:
    """A camera's usual name: "Canon EOS 5D", not "Canon Canon EOS 5D"."""
    maker = _COMPANY.sub("", clean(make, NAME_BYTES)).strip(" ,.")
    name = clean(model, NAME_BYTES)
    if maker and not name.casefold().startswith(maker.split()[0].casefold()):
        name = f"{maker} {name}".strip()
    return clean(name, NAME_BYTES)


def clean(value: object, most_bytes: int) -> str:
    """A text on one line, in Unicode's composed form, of at most `most_bytes` of UTF-8."""
    if isinstance(value, bytes):
        value = _decoded(value[: 4 * most_bytes])
    if not value or not isinstance(value, str):
        return ""
    text = value[: 4 * most_bytes]
    if not text.isascii():
        with contextlib.suppress(UnicodeError):  # Pillow reads EXIF as Latin-1; many write UTF-8
            text = text.encode("latin-1").decode()
        text = text.encode(errors="ignore").decode()  # no lone surrogates
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    text = " ".join(text.split())
    return text if len(text) <= most_bytes // 4 else _cut(text, most_bytes)


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore").rstrip()


def _decoded(data: bytes) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode()
    return data.decode("latin-1")


def _windows(value: object) -> str:
    """A text of Windows Explorer's own tags: UTF-16, as bytes or a tuple of them."""
    with contextlib.suppress(TypeError, ValueError):
        if isinstance(value, tuple):
            value = bytes(value[: 4 * DESCRIPTION_BYTES])
        if isinstance(value, bytes):
            return value[: 4 * DESCRIPTION_BYTES].decode("utf-16-le", "ignore").rstrip("\0")
    return ""


def _first(most_bytes: int, *values: object) -> str:
    return next((text for value in values if (text := clean(value, most_bytes))), "")


def _keywords(*sources: Iterable[object]) -> list[str]:
    """Each keyword once, whatever its case, in the order in which they come."""
    keywords: dict[str, str] = {}
    for source in sources:
        for value in source:
            word = clean(value, NAME_BYTES)
            if word and len(keywords) < MOST_KEYWORDS:
                keywords.setdefault(word.casefold(), word)
    return list(keywords.values())


def _xmp(im: Image.Image) -> xmp.XmpTexts:
    data = im.info.get("xmp") or im.info.get("XML:com.adobe.xmp")
    if isinstance(data, str):
        data = data.encode(errors="ignore")
    return xmp.read(data) if isinstance(data, bytes) else xmp.XmpTexts()


def _iptc(im: Image.Image) -> dict[tuple[int, int], list[str]]:
    """The texts of the IPTC data, by record and number.

    Source: IPTC-NAA Information Interchange Model 4.2: 2:05 object name, 2:25 keywords, 2:120
    caption; 1:90 says that texts are UTF-8.
    """
    if isinstance(im, TiffImagePlugin.TiffImageFile):
        size = len(im.tag_v2._tagdata.get(TiffImagePlugin.IPTC_NAA_CHUNK, b""))
    else:
        size = len(im.info.get("photoshop", {}).get(0x0404, b""))
    if not 0 < size <= _IPTC_BYTES:
        return {}
    texts: dict[tuple[int, int], list[str]] = {}
    with contextlib.suppress(Exception):  # Pillow raises SyntaxError and more
        records = IptcImagePlugin.getiptcinfo(im) or {}  # type: ignore[arg-type]
        is_utf8 = records.get((1, 90)) == _UTF8_IPTC
        for key, values in records.items():
            for value in values if isinstance(values, list) else [values]:
                text = value.decode(errors="ignore") if is_utf8 else _decoded(value)
                texts.setdefault(key, []).append(text)
    return texts
