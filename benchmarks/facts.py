"""What it costs an import to keep what pictures say of themselves.

    python benchmarks/facts.py [--quick] [--pictures 5000] [--rounds 5]

Each picture is decoded with and without, one right after the other and each first in turn, in one
thread. Then a whole `clipstack import` of them with the model `shapes`, the quickest there is, with
and without in turn. What is compared is CPU time, as another program's work is none of it. Once on
photographs that say nothing, once on the same with EXIF, GPS, XMP and IPTC data. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import common
import photos
from common import say

_WITHOUT = (
    "from clipstack.images.metadata import description; description.facts = lambda *_: {}; "
    "from clipstack.__main__ import main; main()"
)


def silent(folder: Path, count: int) -> list[Path]:
    """JPEGs of 640 x 480 pixels without any data but the picture."""
    return photos.make(folder, count, (640, 480))


def telling(folder: Path, originals: Sequence[Path]) -> list[Path]:
    """The same pictures with what a camera and a cataloguing program write."""
    from PIL import Image

    from tests.album import exif_of, iptc_of, with_segment, xmp_of

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, original in enumerate(originals):
        path = folder / original.name
        made.append(path)
        if path.exists():
            continue
        place = (number % 90, number % 180)
        taken = datetime(2024, 1 + number % 12, 1 + number % 28, tzinfo=UTC)
        exif = exif_of("NIKON CORPORATION", "NIKON D750", taken, place)
        xmp = xmp_of(title=f"Picture {number}", subject=["sea", "sun", f"trip {number % 50}"])
        with Image.open(original) as im:
            im.save(path, quality="keep", exif=exif, xmp=xmp)
        iptc = iptc_of([(1, 90, b"\x1b%G"), (2, 25, b"sea"), (2, 120, b"A day at the sea")])
        path.write_bytes(with_segment(path.read_bytes(), iptc))
    return made


def decoding(paths: Sequence[Path]) -> tuple[float, float]:
    """CPU milliseconds for a picture, without and with."""
    from clipstack.encoders.models.catalog import describe, resolve
    from clipstack.images.decode import decode
    from clipstack.images.metadata import description

    geometry = describe(resolve("shapes", download=False)).geometry
    reading = description.facts
    ways: list[Callable[..., dict[str, object]]] = [lambda *_: {}, reading]
    spent = [0.0, 0.0]
    try:
        for number, path in enumerate(paths):
            data = path.read_bytes()
            decode(data, geometry)  # the first one pays for what is not in the caches yet
            for way in (0, 1) if number % 2 else (1, 0):
                description.facts = ways[way]
                started = time.thread_time()
                decode(data, geometry)
                spent[way] += time.thread_time() - started
    finally:
        description.facts = reading
    return spent[0] / len(paths) * 1000, spent[1] / len(paths) * 1000


def importing(paths: Sequence[Path], work: Path, rounds: int) -> list[tuple[float, float]]:
    """CPU seconds of the whole import, without and with, a pair a round."""
    pairs = []
    without = [sys.executable, "-c", _WITHOUT]
    for number in range(rounds):
        took = [0.0, 0.0]
        for way in (0, 1) if number % 2 else (1, 0):
            data = work / "facts-data"
            shutil.rmtree(data, ignore_errors=True)
            line = [*(common.clipstack() if way else without)]
            line += ["import", str(paths[0].parent), "--model", "shapes", "-q"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            common.run(line, env=common.own_environment(work, data))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took[way] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        say(f"  {took[0]:.2f} s without, {took[1]:.2f} s with")
        pairs.append((took[0], took[1]))
    return pairs


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--pictures", type=int, default=5000)
    asked: argparse.Namespace = parser.parse_args()
    count = 200 if asked.quick else asked.pictures
    rounds = asked.rounds or (1 if asked.quick else 5)
    print(f"{common.machine()} {count} JPEGs of about 640 x 480 pixels.\n")
    say("Making pictures")
    plain = silent(asked.work / f"facts-silent-{count}", count)
    rich = telling(asked.work / f"facts-telling-{count}", plain)
    rows = []
    for name, paths in (("that say nothing", plain), ("with EXIF, GPS, XMP and IPTC", rich)):
        say(f"Decoding those {name}")
        before, after = decoding(paths)
        rows.append(
            [f"decode, {name}", f"{before:.3f} ms", f"{after:.3f} ms", f"{after / before:.3f}"]
        )
    for name, paths in (("that say nothing", plain), ("with EXIF, GPS, XMP and IPTC", rich)):
        say(f"Importing those {name}")
        pairs = importing(paths, asked.work, rounds)
        ratios = sorted(after / before for before, after in pairs)
        rows.append(
            [
                f"import, {name}",
                f"{statistics.median(before for before, _ in pairs):.2f} s",
                f"{statistics.median(after for _, after in pairs):.2f} s",
                f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
            ]
        )
    print(common.table(["pictures", "without", "with", "with / without"], rows))


if __name__ == "__main__":
    main()
