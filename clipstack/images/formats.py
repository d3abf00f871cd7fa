"""The table of picture formats: the first bytes of a file, or its name, in; its format out.

Scanning, decoding, docs/formats.md and the tests all read this table. It imports nothing heavy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

HEAD = 64
"""How many bytes of a file `sniff` reads."""


@dataclass(frozen=True, slots=True)
class Format:
    """One picture format.

    Attributes:
        name: its usual name; stored as the `format` of a picture.
        extensions: lower-case file name endings, with the dot, the usual one first.
        mime: its MIME type.
        pillow: Pillow's ids for it, in the order to try; empty when Pillow does not open it.
        signatures: alternatives; each is a set of (offset, bytes) that must all be present.
        note: what is read of it, for docs/formats.md.
    """

    name: str
    extensions: tuple[str, ...]
    mime: str
    pillow: tuple[str, ...] = ()
    signatures: tuple[tuple[tuple[int, bytes], ...], ...] = ()
    note: str = ""

    def accepts(self, head: bytes) -> bool:
        """Whether `head`, the first `HEAD` bytes of a file, carries one of the signatures."""
        return any(
            all(head.startswith(magic, offset) for offset, magic in parts)
            for parts in self.signatures
        )


def _starts(*magics: bytes) -> tuple[tuple[tuple[int, bytes], ...], ...]:
    return tuple(((0, magic),) for magic in magics)


_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)

JPEG = Format(
    "JPEG",
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "image/jpeg",
    pillow=("JPEG",),
    signatures=_starts(b"\xff\xd8\xff"),
    note="RGB, grey, CMYK and YCCK; the first picture of an MPO",
)
PNG = Format(
    "PNG",
    (".png", ".apng"),
    "image/png",
    pillow=("PNG",),
    signatures=_starts(b"\x89PNG\r\n\x1a\n"),
    note="1 to 16 bits; the default picture of an APNG",
)
BMP = Format(
    "BMP",
    (".bmp", ".dib"),
    "image/bmp",
    pillow=("BMP", "DIB"),
    signatures=tuple(
        parts
        for size in _BITMAP_HEADERS
        for parts in (
            ((0, b"BM"), (14, bytes((size, 0, 0, 0)))),
            ((0, bytes((size, 0, 0, 0))), (8 if size == 12 else 12, b"\x01\x00")),
        )
    ),
    note="with or without its file header",
)
GIF = Format(
    "GIF",
    (".gif",),
    "image/gif",
    pillow=("GIF",),
    signatures=_starts(b"GIF87a", b"GIF89a"),
    note="the first frame",
)
TIFF = Format(
    "TIFF",
    (".tif", ".tiff"),
    "image/tiff",
    pillow=("TIFF",),
    signatures=_starts(b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    note="the first page; 1 to 32 bits, integer or float",
)
PNM = Format(
    "PNM",
    (".ppm", ".pgm", ".pbm", ".pnm"),
    "image/x-portable-anymap",
    pillow=("PPM",),
    signatures=_starts(
        *(
            b"P" + kind + space
            for kind in (b"1", b"2", b"3", b"4", b"5", b"6")
            for space in (b"\n", b"\r", b" ", b"\t", b"#")
        )
    ),
    note="plain and binary",
)
ICO = Format(
    "ICO",
    (".ico",),
    "image/vnd.microsoft.icon",
    pillow=("ICO",),
    signatures=_starts(b"\x00\x00\x01\x00"),
    note="the largest picture",
)
WEBP = Format(
    "WebP",
    (".webp",),
    "image/webp",
    pillow=("WEBP",),
    signatures=(((0, b"RIFF"), (8, b"WEBP")),),
    note="lossy and lossless; the first frame",
)
DDS = Format(
    "DDS",
    (".dds",),
    "image/vnd.ms-dds",
    pillow=("DDS",),
    signatures=_starts(b"DDS \x7c\x00\x00\x00"),
    note="uncompressed and BC1 to BC7; the largest mipmap",
)
TGA = Format(
    "TGA",
    (".tga",),
    "image/x-tga",
    pillow=("TGA",),
    note="it has no signature, so it is tried last and its header must be faultless",
)
HDR = Format(
    "Radiance HDR",
    (".hdr",),
    "image/vnd.radiance",
    signatures=_starts(b"#?RADIANCE", b"#?RGBE"),
    note="tone-mapped",
)
JPEG2000 = Format(
    "JPEG 2000",
    (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    "image/jp2",
    pillow=("JPEG2000",),
    signatures=_starts(b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
    note="files and bare codestreams",
)
AVIF = Format(
    "AVIF",
    (".avif",),
    "image/avif",
    pillow=("AVIF",),
    signatures=tuple(((4, b"ftyp"), (8, brand)) for brand in (b"avif", b"avis", b"mif1", b"msf1")),
    note="the first frame",
)
QOI = Format(
    "QOI",
    (".qoi",),
    "image/qoi",
    pillow=("QOI",),
    signatures=_starts(b"qoif"),
)

FORMATS: tuple[Format, ...] = (
    JPEG, PNG, GIF, WEBP, TIFF, BMP, AVIF, JPEG2000, HDR, PNM, ICO, DDS, QOI, TGA,
)  # fmt: skip
"""Every format, in the order they are tried."""

BY_EXTENSION: dict[str, Format] = {ext: f for f in FORMATS for ext in f.extensions}
"""Lower-case extension with its dot -> the format it usually holds."""

EXTENSIONS: frozenset[str] = frozenset(BY_EXTENSION)
"""The extensions that scanning takes for pictures."""

_UNSUPPORTED: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftypcrx ", "a camera's raw file"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
)


def sniff(head: bytes) -> Format | None:
    """The format whose signature `head` carries, or None.

    Args:
        head: the first `HEAD` bytes of a file, or all of a shorter one.

    TGA has no signature and is never returned.
    """
    return next((f for f in FORMATS if f.accepts(head)), None)


def describe_unknown(head: bytes) -> str:
    """What a file without a known signature may be, in a few words."""
    for offset, magic, name in _UNSUPPORTED:
        if head.startswith(magic, offset):
            return f"{name} is not supported"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "this is a web page"
    if text.startswith((b"<?xml", b"<svg")):
        return "XML and SVG are not supported"
    if text and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text):
        return "this is text"
    return "not a known kind of picture"


def extension(path: str) -> str:
    """The lower-case extension of a path with its dot, or "" when it has none."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (a hot path)


def markdown_table() -> str:
    """The table of formats for docs/formats.md, one row each, in Markdown."""
    rows = ["| format | extensions | what is read |", "|---|---|---|"]
    for f in FORMATS:
        endings = " ".join(f"`{e}`" for e in f.extensions)
        rows.append(f"| {f.name} | {endings} | {f.note or 'all of it'} |")
    return "\n".join(rows) + "\n"
