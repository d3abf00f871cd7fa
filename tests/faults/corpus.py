"""A folder in; 300 broken, truncated, hostile and odd files, with good ones among them, out."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from clipstack.errors import Reason
from tests.unit.images import samples

SEED = 20_240_501
TOTAL = 300

_SEEDS = {
    extension: make
    for extension, make in samples.SAMPLES.items()
    if extension not in {".jpeg", ".jpe", ".jfif", ".pnm", ".jpf", ".j2c", ".jpc"}
}

Bad = tuple[str, bytes, Reason | None]


def make_corpus(folder: Path) -> tuple[list[Path], dict[Path, Reason | None]]:
    """Fills a folder with files, the same every time.

    Args:
        folder: it is made if it is not there, and must be empty.

    Returns:
        The files that must decode, and those that must not or may: file -> the reason it must be
        refused for, or None where any reason, or a picture, will do. Together they are 300.
    """
    folder.mkdir(parents=True, exist_ok=True)
    good = _good(folder)
    bad: dict[Path, Reason | None] = _special(folder)
    for name, data, reason in _hostile():
        path = folder / name
        path.write_bytes(data)
        bad[path] = reason
    mutated = _mutated(random.Random(SEED))
    while len(good) + len(bad) < TOTAL:
        name, data, reason = next(mutated)
        path = folder / f"mutated-{len(bad):03d}-{name}"
        path.write_bytes(data)
        bad[path] = reason
    return good, bad


def _good(folder: Path) -> list[Path]:
    good = []
    for extension, make in samples.SAMPLES.items():
        path = folder / f"good{extension}"
        path.write_bytes(make().data)
        good.append(path)
    for name, data in (
        ("good-really-a-jpeg.png", samples.jpeg()),
        ("good-really-a-png.jpg", samples.SAMPLES[".png"]().data),
        ("good-with-a-tail.jpg", samples.jpeg() + b"tail" * 1000),
        ("good name with spaces, (brackets) & [more].png", samples.SAMPLES[".png"]().data),
        ("good-\N{CAT FACE}-\u00e9.png", samples.SAMPLES[".png"]().data),
        ("good-with-broken-exif.jpg", _with_exif(b"Exif\0\0II*\0\xff\xff\xff\xff")),
    ):
        path = folder / name
        path.write_bytes(data)
        good.append(path)
    return good


def _special(folder: Path) -> dict[Path, Reason | None]:
    """What is no regular file."""
    fifo, inside, dangling, loop = (
        folder / name for name in ("fifo.jpg", "folder.jpg", "dangling.jpg", "loop.jpg")
    )
    os.mkfifo(fifo)
    inside.mkdir()
    dangling.symlink_to("nowhere")
    loop.symlink_to("loop.jpg")
    return {
        fifo: Reason.UNREADABLE,
        inside: Reason.UNREADABLE,
        dangling: Reason.VANISHED,
        loop: Reason.UNREADABLE,
    }


def _with_exif(body: bytes) -> bytes:
    jpeg = samples.jpeg()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _hostile() -> Iterator[Bad]:
    yield "empty.jpg", b"", Reason.EMPTY
    yield "text.png", b"this is not a picture\n" * 20, Reason.UNSUPPORTED
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", Reason.UNSUPPORTED
    yield "drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED
    yield "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", Reason.UNSUPPORTED
    yield "document.jpg", b"%PDF-1.7\n" + bytes(100), Reason.UNSUPPORTED
    yield "phone.jpg", b"\0\0\0\x18ftypheic" + bytes(100), Reason.UNSUPPORTED
    yield "zeros.jpg", bytes(10_000), Reason.UNSUPPORTED
    yield "noise.gif", random.Random(SEED).randbytes(10_000), Reason.UNSUPPORTED
    yield "magic-only.jpg", b"\xff\xd8\xff", None
    yield "magic-only.png", b"\x89PNG\r\n\x1a\n", None
    yield "grey-half.jpg", samples.jpeg()[: len(samples.jpeg()) // 2], Reason.TRUNCATED
    yield from _giants()
    yield from _bombs()


def _giants() -> Iterator[Bad]:
    """Small files that claim to be enormous."""
    for width, height in ((100_000, 100_000), (2_000_000_000, 1), (65_535, 65_535)):
        name = f"giant-{width}x{height}"
        yield f"{name}.png", giant_png(width, height), Reason.TOO_LARGE
        yield f"{name}.ppm", f"P6 {width} {height} 255\n".encode() + bytes(9), Reason.TOO_LARGE
        yield f"{name}.pgm", f"P2 {width} {height} 255\n1 2 3\n".encode(), Reason.TOO_LARGE
        for extension, at, form in (
            (".bmp", 18, "<ii"),
            (".dds", 12, "<II"),
            (".qoi", 4, ">II"),
            (".j2k", 8, ">II"),
        ):
            data = bytearray(samples.SAMPLES[extension]().data)
            pair = (height, width) if extension == ".dds" else (width, height)
            struct.pack_into(form, data, at, *pair)
            if extension == ".j2k":
                struct.pack_into(form, data, 24, *pair)
            yield f"{name}{extension}", bytes(data), Reason.TOO_LARGE
    for extension, at in ((".gif", 6), (".tga", 12)):
        data = bytearray(samples.SAMPLES[extension]().data)
        struct.pack_into("<HH", data, at, 65_535, 65_535)
        yield f"giant{extension}", bytes(data), Reason.TOO_LARGE if at == 6 else Reason.TRUNCATED
    jpeg = bytearray(samples.jpeg())
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, 65_500, 65_500)
    yield "giant.jpg", bytes(jpeg), Reason.TOO_LARGE
    webp = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\0\xff\x3f\0"
    yield "giant.webp", b"RIFF" + struct.pack("<I", len(webp)) + webp, Reason.TOO_LARGE
    hdr = samples.SAMPLES[".hdr"]().data.replace(b"-Y 32 +X 48", b"-Y 99999 +X 99999")
    yield "giant.hdr", hdr, Reason.TOO_LARGE
    png = giant_png(50_000, 50_000)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(png), 22)
    yield "giant.ico", struct.pack("<HHH", 0, 1, 1) + entry + png, Reason.TOO_LARGE
    yield "giant.tif", tiff(50_000, 50_000, b"x" * 100), Reason.TOO_LARGE


def giant_png(width: int, height: int) -> bytes:
    """A PNG of one pixel whose header claims another size, with a checksum that fits."""
    png = samples.png(bytes(3), width=1, height=1)
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def tiff(
    width: int, height: int, strip: bytes, *, compression: int = 1, **tags: tuple[int, int, int]
) -> bytes:
    """A grey TIFF of one strip; `tags` adds entries as t<number>=(type, count, value)."""
    entries = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, compression),
        262: (3, 1, 1),
        273: (4, 1, 8),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, len(strip)),
    }
    entries |= {int(name[1:]): entry for name, entry in tags.items()}
    body = b"".join(struct.pack("<HHII", tag, *entries[tag]) for tag in sorted(entries))
    head = b"II*\0" + struct.pack("<I", 8 + len(strip))
    return head + strip + struct.pack("<H", len(entries)) + body + bytes(4)


def _bombs() -> Iterator[Bad]:
    """Small files that would grow."""
    zeros = zlib.compress(bytes(50_000_000), 9)
    rows = samples.pattern().tobytes()
    for name, prefix in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        chunk = samples.chunk(name, prefix + zeros)
        yield f"bomb-{name.decode()}.png", samples.png(rows, before=(chunk,)), Reason.UNREADABLE
        behind = samples.png(rows, after=(chunk,))
        yield f"bomb-behind-{name.decode()}.png", behind, Reason.UNREADABLE
    yield "bomb-strip.tif", tiff(8, 8, zeros, compression=8), None
    wide = tiff(60_000, 2_000, zeros, compression=8)
    yield "bomb-wide.tif", wide, None
    tall = tiff(16, 16, bytes(256), t278=(4, 1, 0xFFFFFFFF), t322=(4, 1, 1 << 30))
    yield "bomb-rows.tif", tall, None
    tile = (4, 1, 1 << 20)
    tiles = tiff(16, 16, bytes(256), compression=8, t322=tile, t323=tile, t324=(4, 1, 8))
    yield "bomb-tile.tif", tiles, None
    tags = {f"t{33_000 + i}": (2, 0x7FFFFFFF, 8) for i in range(500)}
    yield "bomb-tags.tif", tiff(16, 16, bytes(256), **tags), None
    yield "bomb-samples.tif", tiff(16, 16, bytes(256), t277=(4, 1, 0xFFFFFFFF)), None
    many = bytearray(samples.codestream())
    struct.pack_into(">II", many, 8, 20_000, 20_000)
    struct.pack_into(">II", many, 24, 1, 1)
    yield "bomb-tiles.j2k", bytes(many), Reason.UNSUPPORTED
    planes = bytearray(samples.codestream())
    struct.pack_into(">H", planes, 40, 16_384)
    yield "bomb-planes.j2k", bytes(planes), None
    icon = samples.SAMPLES[".ico"]().data
    yield "bomb-entries.ico", icon[:4] + b"\xff\xff" + icon[6:] + bytes(1_000_000), None
    gif = samples.gif()
    comments = (b"!\xfe" + b"\xff" + b"x" * 255 + b"\0") * 4_000
    yield "bomb-comments.gif", gif[:397] + comments + gif[397:], None
    markers = b"\xff\xe5\0\4ab" * 100_000
    yield "bomb-markers.jpg", samples.jpeg()[:2] + markers + samples.jpeg()[2:], None
    yield "bomb-chunks.png", samples.png(rows, before=(samples.chunk(b"abCd", b""),) * 50_000), None
    exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + struct.pack("<HHII", 0x8769, 4, 1, 8) * 4_000
    yield "bomb-exif.jpg", _with_exif(exif), None


def _mutated(chance: random.Random) -> Iterator[Bad]:
    """Good files, broken at random; half of them are only cut off."""
    files = [(extension, make().data) for extension, make in _SEEDS.items()]
    while True:
        for extension, data in files:
            part = chance.uniform(0.05, 0.95)
            yield f"cut{extension}", data[: int(len(data) * part)], None
            yield f"flipped{extension}", _broken(data, chance), None
            other, strange = chance.choice(files)
            if other != extension:
                at = chance.randrange(4, 40)
                yield f"spliced{extension}", data[:at] + strange[at:], None
                yield f"renamed{other}", _broken(data, chance), None


def _broken(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 30))):
        at = chance.randrange(min(len(out), chance.choice((32, 200, 1 << 30))))
        what = chance.randrange(4)
        if what == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            out[at : at + 4] = chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)).to_bytes(4, "big")
        elif what == 2:
            del out[at : at + chance.randrange(1, 9)]
        else:
            out[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(out)
