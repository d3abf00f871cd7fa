"""What a person waits for: help, importing a folder again, a cold search.

    python benchmarks/everyday.py [--files 5000] [--runs 9]

Runs real processes on generated pictures with the model `shapes`, and prints a Markdown table of
medians, with the fastest and slowest run.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HELP = [
    [],
    ["import"],
    ["search"],
    ["demo"],
    *(["collections", name] for name in ("list", "show", "create", "drop", "rename")),
    *(["models", name] for name in ("list", "pull", "show")),
    *(["config", name] for name in ("show", "path", "init")),
]


def seconds(*args: object) -> float:
    """Wall seconds of one `clipstack` process."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "clipstack", *map(str, args)], check=True, capture_output=True
    )
    return time.perf_counter() - started


def row(what: str, times: list[float]) -> str:
    low, middle, high = min(times), statistics.median(times), max(times)
    return f"| {what} | {middle:.2f} s | {low:.2f} to {high:.2f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for kind in ("DATA", "CONFIG", "CACHE"):
            os.environ[f"CLIPSTACK_{kind}_DIR"] = str(folder / kind.lower())
        pictures = folder / "pictures"
        pictures.mkdir()
        generator = np.random.default_rng(0)
        for number in range(asked.files):
            noise = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            large = Image.fromarray(noise).resize((128, 96), Image.Resampling.BICUBIC)
            large.save(pictures / f"{number:06}.jpg")
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
        print("| what | median | from, to |\n|---|---|---|")
        seconds("--help")
        for line in HELP:
            name = " ".join(["clipstack", *line, "--help"])
            print(row(f"`{name}`", [seconds(*line, "--help") for _ in range(asked.runs)]))
        first = seconds("import", pictures, "-m", "shapes")
        print(row(f"import of {asked.files} small JPEGs, `shapes`", [first]))
        again = [seconds("import", pictures) for _ in range(asked.runs)]
        print(row(f"import of the same {asked.files} again", again))
        search = [seconds("search", "red") for _ in range(asked.runs)]
        print(row(f"cold `clipstack search red` on {asked.files} rows", search))


if __name__ == "__main__":
    main()
