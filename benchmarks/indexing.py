"""Importing a folder of photographs: clipstack beside what else indexes pictures with CLIP.

    python benchmarks/indexing.py [--quick] [--rounds 3]

All take turns in each round, on the same files, with the same ViT-B/32 (random weights: they cost
what trained ones do) at 224 pixels. clipstack and rclip are whole processes, from the command line
to its end, start and loading of the model included; of the others only the pictures' time counts.
What a peer keeps between runs (an export, an index) is made before, or thrown away, for each alike.
Prints Markdown; peers are installed into environments of their own and stay there.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import common
import numpy as np
import photos
from common import Ran, Unavailable, say

SMALL, LARGE = (500, 375), (4000, 3000)
RCLIP = common.release("rclip")


@dataclass
class Contestant:
    """One that takes turns.

    Attributes:
        once: images/s and peak bytes of one turn on a folder of `count` files.
        rates, peaks: of its turns; problem: why it has none.
    """

    name: str
    once: Callable[[Path, int], tuple[float, int]]
    rates: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    problem: str = ""

    def turn(self, folder: Path, count: int) -> None:
        if self.problem:
            return
        say(f"  {self.name}")
        try:
            rate, peak = self.once(folder, count)
        except Unavailable as error:
            self.problem = str(error)
            say(f"    {error}")
            return
        self.rates.append(rate)
        self.peaks.append(peak)


class Bench:
    """What the contestants share: the model, the folders, the environments."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.work: Path = asked.work
        self.model = common.model(asked)
        self.slow: int = 40 if asked.quick else 200

    def clipstack(self, *before: object) -> Callable[[Path, int], tuple[float, int]]:
        """`clipstack import` into a database of its own each time."""

        def once(folder: Path, count: int) -> tuple[float, int]:
            ran = self.import_(folder, self.model, *before)
            if ran.json["counts"]["new"] != count:
                raise Unavailable(f"imported {ran.json['counts']}, not {count}")
            return count / ran.seconds, ran.peak

        return once

    def import_(self, folder: Path, model: Path | str, *before: object) -> Ran:
        with tempfile.TemporaryDirectory(dir=self.work) as data:
            env = common.own_environment(self.work, Path(data))
            line = [sys.executable, *before] if before else common.clipstack()
            return common.run([*line, "import", folder, "--model", model, "--json"], env=env)

    def rclip(self, edge: int) -> Callable[[Path, int], tuple[float, int]]:
        """rclip with an index of its own each time; it can't index without searching once."""

        def once(folder: Path, count: int) -> tuple[float, int]:
            home = rclip_home(self.work, self.model, edge)
            python = rclip_python(self.work)
            (home / "db.sqlite3").unlink(missing_ok=True)
            env = os.environ | {"RCLIP_DATADIR": str(home)}
            line = [python, common.PEERS / "run_rclip.py", edge, "-t", "1", "dog"]
            ran = common.run(line, env=env, cwd=folder)
            if (rows := rclip_rows(home)) != count:
                raise Unavailable(f"indexed {rows}, not {count}")
            return count / ran.seconds, ran.peak

        return once

    def peer(self, environment: str, script: str) -> Callable[[Path, int], tuple[float, int]]:
        """A script of peers/ on the first of the files."""

        def once(folder: Path, count: int) -> tuple[float, int]:
            python = common.peer_python(environment, self.work)
            line = [python, common.PEERS / script, self.model, folder, min(count, self.slow)]
            ran = common.run(line, env=os.environ | {"HF_HUB_OFFLINE": "1"})
            return ran.json["pictures"] / ran.json["seconds"], ran.peak

        return once


class Engine:
    """The engine alone, on the same pixels in the same batches, and what the machine allows."""

    def __init__(self, bench: Bench, files: list[Path], seconds: float) -> None:
        os.environ.update(common.own_environment(bench.work, bench.work / "data"))
        from clipstack import encoders
        from clipstack.encoders.models.catalog import describe, resolve
        from clipstack.images.decode import decode

        self.info = describe(resolve(str(bench.model), download=False))
        self.encoder = encoders.load(self.info, say=say)
        self.seconds = seconds
        decoded = [decode(file.read_bytes(), self.info.geometry) for file in files[:128]]
        self.pixels = np.stack([picture.pixels for picture in decoded])
        self.encoder.encode_images(self.pixels[:32])

    def once(self, _folder: Path, _count: int) -> tuple[float, int]:
        started, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - started < self.seconds:
            for at in range(0, len(self.pixels), 32):
                done += len(self.encoder.encode_images(self.pixels[at : at + 32]))
        return done / (time.perf_counter() - started), 0

    def limit(self, _folder: Path, _count: int) -> tuple[float, int]:
        from clipstack.bench import compute_limit
        from clipstack.encoders.openvino import export

        if (
            self.encoder.engine != "openvino"
            or self.encoder.precision not in compute_limit.PRECISIONS
        ):
            raise Unavailable("measured with OpenVINO in bf16 or fp32 only")
        found = compute_limit.measure(
            export.ensure_export(self.info) / export.IMAGES,
            *self.info.geometry.shape,
            precision=self.encoder.precision,
            batch=32,
            seconds=self.seconds,
        )
        return found.pictures, 0


def rclip_python(work: Path) -> Path:
    """The Python of rclip's environment.

    Raises:
        Unavailable: it can't be installed.
    """
    return common.peer_python("rclip", work, least=(3, 12))


def rclip_home(work: Path, model: Path, edge: int) -> Path:
    """A data folder of rclip's with the model's weights as it reads them.

    Raises:
        Unavailable: they can't be exported.
    """
    home = work / f"rclip-{edge}"
    if not (home / "LICENSE").is_file():
        spec = importlib.util.find_spec("open_clip")
        if spec is None or spec.origin is None:
            raise Unavailable("needs `pip install --no-deps open_clip_torch` for its vocabulary")
        vocabulary = Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
        say("Exporting the model for rclip")
        python = common.peer_python("transformers", work)
        line = [python, common.PEERS / "export_onnx.py", model, work / "rclip", vocabulary]
        common.run(line, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    return home


def rclip_rows(home: Path) -> int:
    """Pictures in rclip's index."""
    import sqlite3

    with sqlite3.connect(home / "db.sqlite3") as database:
        return int(database.execute("select count(*) from images").fetchone()[0])


def compare(
    title: str, contestants: list[Contestant], folder: Path, count: int, rounds: int
) -> None:
    """Let them take turns; prints the table. The first is what the others are compared with."""
    for number in range(rounds):
        say(f"{title}, round {number + 1} of {rounds}")
        for one in contestants:
            one.turn(folder, count)
    first = contestants[0]
    rows = []
    for one in contestants:
        if not one.rates:
            rows.append([one.name, "not run", one.problem, "", ""])
            continue
        rate = common.middle(one.rates)
        pairs = [a / b for a, b in zip(one.rates, first.rates, strict=False)]
        ratio = f"{common.middle(pairs):.2f}" if pairs else ""
        peak = common.megabytes(max(one.peaks)) if max(one.peaks) else ""
        shown = common.spread(one.rates, "images/s")
        rows.append([one.name, f"{rate:.1f} images/s", shown, ratio, peak])
    headings = [title, "median", "from, to", "of clipstack's", "peak memory"]
    print(common.table(headings, rows) + "\n")


def memory(bench: Bench, few: int, many: int) -> None:
    """Peak memory of an import of few files and of many, with the model `shapes`."""
    tiny = photos.make(bench.work / "photos" / "tiny", few, (128, 96))[:few]
    rows = []
    for count in (few, many):
        folder = bench.work / "photos" / f"many-{count}"
        copies(tiny, folder, count)
        say(f"Memory of an import of {count} files")
        ran = bench.import_(folder, "shapes")
        rate = count / ran.seconds
        rows.append([f"{count:,} files", common.megabytes(ran.peak), f"{rate:.0f} images/s"])
        shutil.rmtree(folder)
    heading = "import of pictures of 128x96, model `shapes`"
    print(common.table([heading, "peak memory of all processes", "rate"], rows) + "\n")


def copies(originals: list[Path], folder: Path, count: int, first: int = 0) -> None:
    """`count` files, no two with the same bytes: a number, from `first` on, follows the end of each
    JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = [path.read_bytes() for path in originals]
    for number in range(first, first + count):
        data = contents[number % len(contents)] + number.to_bytes(4, "big")
        (folder / f"{number:06d}.jpg").write_bytes(data)


def main() -> None:
    parser = common.options(__doc__)
    parser.add_argument("--without", default="", help="names of contestants to leave out, with ,")
    asked = parser.parse_args()
    rounds = asked.rounds or (1 if asked.quick else 3)
    print(common.machine() + "\n")
    bench = Bench(asked)
    few, large = (100, 10) if asked.quick else (1000, 100)
    say("Making photographs")
    small_files = photos.make(bench.work / "photos" / f"small-{few}", few, SMALL)
    photos.make(bench.work / "photos" / f"large-{large}", large, LARGE)
    engine = Engine(bench, small_files, 1.0 if asked.quick else 5.0)
    small = [
        Contestant("`clipstack import`, the whole process", bench.clipstack()),
        Contestant("its engine alone, no files", engine.once),
        Contestant(f"the machine's matrix product, {engine.encoder.precision}", engine.limit),
        Contestant(f"{RCLIP}, at 224 pixels as the others", bench.rclip(224)),
        Contestant(f"{RCLIP} as it comes, at 256 pixels", bench.rclip(256)),
        Contestant(
            "sentence-transformers, batches of 32",
            bench.peer("transformers", "run_sentence_transformers.py"),
        ),
        Contestant("infinity-emb's engine", bench.peer("infinity", "run_infinity.py")),
        Contestant(
            "transformers, one at a time", bench.peer("transformers", "run_transformers.py")
        ),
    ]
    left_out = [part for part in asked.without.split(",") if part]
    small = [one for one in small if not any(part in one.name for part in left_out)]
    title = f"{few:,} photographs of about 500x375"
    compare(title, small, bench.work / "photos" / f"small-{few}", few, rounds)
    slow = f"The last three were timed on the first {min(bench.slow, few)} photographs."
    print(slow + "\n")
    large_ones = [
        Contestant("`clipstack import`, the whole process", bench.clipstack()),
        Contestant(
            "the same, every JPEG decoded at its full size",
            bench.clipstack(common.HERE / "full_decode.py"),
        ),
        Contestant(f"{RCLIP}, at 224 pixels", bench.rclip(224)),
    ]
    title = f"{large} photographs of 12 megapixels"
    compare(title, large_ones, bench.work / "photos" / f"large-{large}", large, rounds)
    memory(bench, 200 if asked.quick else 1000, 1000 if asked.quick else 20_000)


if __name__ == "__main__":
    main()
