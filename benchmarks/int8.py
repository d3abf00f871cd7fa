"""int8 beside bfloat16: an import of pictures that cost nothing to decode, and what the gate said.

    python benchmarks/int8.py [--quick] [--rounds 3]

The pictures are photographs at the model's own 224 x 224 pixels, uncompressed (BMP), so that
encoding is what an import waits for; each import is a whole process. int8 is made and judged by
`clipstack models optimize`, on photographs of which half are held out. Prints Markdown.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import common
import photos
from common import say
from indexing import Bench, Contestant, compare
from PIL import Image


def decoded(files: list[Path], folder: Path) -> None:
    """The middle of each photograph at 224 x 224 pixels, as BMP."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        to = folder / f"{file.stem}.bmp"
        if not to.exists():
            with Image.open(file) as opened:
                edge = min(opened.size)
                left, top = (opened.width - edge) // 2, (opened.height - edge) // 2
                box = (left, top, left + edge, top + edge)
                opened.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC, box).save(to)


def main() -> None:
    parser = common.options(__doc__)
    asked = parser.parse_args()
    bench = Bench(asked)
    count = 100 if asked.quick else 1000
    files = photos.make(bench.work / "photos" / f"small-{count}", count, (500, 375))
    folder = bench.work / "photos" / f"decoded-{count}"
    decoded(files, folder)
    print(common.machine() + "\n")
    say("Making int8")
    env = common.own_environment(bench.work, bench.work / "data")
    line = ["models", "optimize", bench.model, "--precision", "int8", "--json"]
    made = common.run(common.clipstack(*line, "--calibrate", files[0].parent), env=env).json

    def importing(precision: str) -> Contestant:
        def once(_: Path, count: int) -> tuple[float, int]:
            with tempfile.TemporaryDirectory(dir=bench.work) as data:
                own = common.own_environment(bench.work, Path(data))
                line = ["import", folder, "--model", bench.model, "--precision", precision]
                ran = common.run(common.clipstack(*line, "--json"), env=own)
            if ran.json["counts"]["new"] != count:
                raise common.Unavailable(f"imported {ran.json['counts']}, not {count}")
            return count / ran.seconds, ran.peak

        return Contestant(f"`clipstack import --precision {precision}`", once)

    title = f"{count:,} pictures of 224x224, uncompressed"
    rounds = asked.rounds or (1 if asked.quick else 3)
    compare(title, [importing("bf16"), importing("int8")], folder, count, rounds)
    gate = "accepted" if made["accepted"] else "refused"
    print(
        f"`clipstack models optimize` {gate} it: overlap of the top 10 {made['overlap']:.3f} (at "
        f"least {made['least_overlap']}), recall of the top 1 {made['recall']:.3f} (at least "
        f"{made['least_recall']}), on {made['held_out']} photographs held out; "
        f"{made['calibration']} calibrated it."
    )


if __name__ == "__main__":
    main()
