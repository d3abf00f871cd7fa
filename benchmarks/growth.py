"""How cost grows with the number of pictures: import, write, and search warm and cold.

    python benchmarks/growth.py [--quick]

Prints Markdown and draws `benchmarks/growth.svg` (`--quick`: in the folder of --work): both axes in
powers of ten, with the line along which cost would grow as the number does.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import common
import databases
import photos
import synthetic
from common import say
from indexing import copies

PLOT = common.HERE / "growth.svg"
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")


@dataclass(frozen=True, slots=True)
class Curve:
    """One cost: seconds at each number of pictures."""

    name: str
    points: Sequence[tuple[int, float]]

    @property
    def each_more(self) -> float:
        """Seconds that each picture adds, between the last two numbers: what is fixed, such as the
        start of a process, is not in it."""
        (n, a), (m, b) = self.points[-2:]
        return (b - a) / (m - n)


def importing(asked: argparse.Namespace, sizes: Sequence[int]) -> Curve:
    """Whole imports of small pictures with the model `shapes`."""
    tiny = photos.make(asked.work / "photos" / "tiny", min(sizes), (128, 96))
    points = []
    for size in sizes:
        say(f"Importing {size} small pictures")
        with tempfile.TemporaryDirectory(dir=asked.work) as temporary:
            folder = Path(temporary) / "pictures"
            copies(tiny[: min(sizes)], folder, size)
            env = common.own_environment(asked.work, Path(temporary) / "data")
            line = common.clipstack("import", folder, "--model", "shapes", "--json")
            points.append((size, common.run(line, env=env).seconds))
    return Curve("import of pictures of 128x96, `shapes`, whole process", points)


def writing_and_searching(asked: argparse.Namespace, sizes: Sequence[int]) -> list[Curve]:
    """Made-up rows of 512 numbers into one database, searched at each size."""
    model = common.model(asked)
    info = databases.model_info(model, common.own_environment(asked.work, asked.work / "data"))
    queries = synthetic.vectors(30, info.dimension, seed=5)
    written, warm, cold = [], [], []
    for size in sizes:
        say(f"Writing and searching {size} rows")
        with tempfile.TemporaryDirectory(dir=asked.work) as data:
            with databases.open_collection(Path(data), info) as collection:
                written.append((size, databases.fill(collection, 0, size, "/pictures")))
                times, _ = databases.search_seconds(collection, queries)
                warm.append((size, common.middle(times)))
            env = common.own_environment(asked.work, Path(data))
            line = common.clipstack("search", "a dog", "-q")
            runs = [common.run(line, env=env).seconds for _ in range(2 if asked.quick else 5)]
            cold.append((size, common.middle(runs)))
    return [
        Curve("writing rows of 512 numbers", written),
        Curve("search, everything in memory", warm),
        Curve("cold `clipstack search`, whole process", cold),
    ]


def table(curves: Sequence[Curve]) -> str:
    """The curves as Markdown."""
    sizes = sorted({size for curve in curves for size, _ in curve.points})
    lines = []
    for curve in curves:
        known = dict(curve.points)
        cells = [duration(known[size]) if size in known else "" for size in sizes]
        lines.append([curve.name, *cells, f"{1e6 * curve.each_more:,.2f} µs"])
    return common.table(["", *(f"{size:,}" for size in sizes), "each more picture"], lines)


def duration(seconds: float) -> str:
    """Seconds, or milliseconds of what is short."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.2f} ms"


def plot(curves: Sequence[Curve]) -> str:
    """The curves as SVG."""
    width, height, left, top, right, bottom = 760, 460, 70, 20, 40, 130
    sizes = [size for curve in curves for size, _ in curve.points]
    times = [seconds for curve in curves for _, seconds in curve.points]
    first, last = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def x(size: float) -> float:
        return left + (math.log10(size) - first) / (last - first) * (width - left - right)

    def y(seconds: float) -> float:
        return top + (high - math.log10(seconds)) / (high - low) * (height - top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for power in range(first, last + 1):
        at = x(10**power)
        parts.append(_line(at, top, at, height - bottom))
        parts.append(_text(at, height - bottom + 18, f"{10**power:,}", "middle"))
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(_line(left, at, width - right, at))
        name = f"{10**power:g} s" if power >= 0 else f"{10 ** (power + 3):g} ms"
        parts.append(_text(left - 8, at + 4, name, "end"))
    rise = min(last - first, high - low)
    parts.append(
        f'<line x1="{x(10**first):.1f}" y1="{y(10**low):.1f}" x2="{x(10 ** (first + rise)):.1f}" '
        f'y2="{y(10 ** (low + rise)):.1f}" stroke="#888" stroke-dasharray="5 5"/>'
    )
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in curve.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(size):.1f}" cy="{y(seconds):.1f}" r="4" fill="{colour}"/>'
            for size, seconds in curve.points
        ]
        at = height - bottom + 46 + 18 * number
        parts.append(f'<rect x="{left}" y="{at - 10}" width="14" height="10" fill="{colour}"/>')
        parts.append(_text(left + 22, at, curve.name.replace("`", ""), "start"))
    at = height - bottom + 46 + 18 * len(curves)
    parts.append(_text(left + 22, at, "dashed: as the number of pictures", "start"))
    return "\n".join([*parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def main() -> None:
    asked = common.options(__doc__).parse_args()
    print(common.machine() + "\n")
    small = [100, 1000] if asked.quick else [1000, 10_000]
    large = [1000, 10_000] if asked.quick else [1000, 10_000, 100_000, 1_000_000]
    curves = [importing(asked, small), *writing_and_searching(asked, large)]
    print(table(curves))
    plotted = asked.work / PLOT.name if asked.quick else PLOT
    plotted.write_text(plot(curves), "utf-8")
    print(f"\n![Seconds by number of pictures, both in powers of ten]({PLOT.name})")


if __name__ == "__main__":
    main()
