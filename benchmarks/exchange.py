"""Rows to a file and back: `clipstack collections export` and `collections import`.

    python benchmarks/exchange.py [--quick] [--rounds 1] [--sizes 100000,1000000] [--format parquet]

Whole processes on made-up rows of 512 numbers, into an empty database, page cache warm. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import common
import databases
from common import Ran, say


class Bench:
    """A folder to work in, and the model whose vectors the rows are."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.work: Path = options.work
        self.folder = self.work / "exchange"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.file = self.folder / f"rows.{options.format}"
        env = common.own_environment(self.work, self.folder)
        self.info = databases.model_info(common.model(options), env)

    def export(self, data: Path) -> Ran:
        """All rows of a database to the file, anew."""
        self.file.unlink(missing_ok=True)
        return self._run(data, "export", "images", self.file)

    def import_(self) -> Ran:
        """The rows of the file into an empty database."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        return self._run(data, "import", self.file, "--collection", "images")

    def rows(self) -> int:
        """Rows in the database that was imported into."""
        data = self.folder / "data"
        return int(self._run(data, "list").json[0]["rows"])

    def _run(self, data: Path, *args: object) -> Ran:
        line = common.clipstack("collections", *args, "--json")
        return common.run(line, env=common.own_environment(self.work, data), every=0.01)


def measure(bench: Bench, count: int, rounds: int) -> list[list[str]]:
    """Lines of the table for that many rows."""
    data = databases.cached_database(bench.work, bench.info, count)
    exports, imports = [], []
    for number in range(rounds):
        say(f"{count:,} rows, round {number + 1} of {rounds}")
        exports.append(bench.export(data))
        imports.append(bench.import_())
    if (there := bench.rows()) != count:
        raise common.Unavailable(f"{there:,} rows were imported, not {count:,}")
    size = f"{bench.file.stat().st_size / 1e9:.2f} GB"
    return [_line(count, "export", exports, size), _line(count, "import", imports, size)]


def _line(count: int, what: str, runs: list[Ran], size: str) -> list[str]:
    seconds = common.middle([run.seconds for run in runs])
    return [
        f"{count:,}",
        f"`collections {what}`",
        f"{seconds:.1f} s",
        f"{count / seconds:,.0f} rows/s",
        common.megabytes(max(run.peak for run in runs)),
        common.megabytes(max(run.private for run in runs)),
        size,
    ]


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--sizes", default="100000,1000000", help="rows, with ,")
    parser.add_argument("--format", choices=("parquet", "npz"), default="parquet")
    options = parser.parse_args()
    sizes = [2000, 20_000] if options.quick else [int(part) for part in options.sizes.split(",")]
    machine = common.machine()
    bench = Bench(options)
    try:
        lines = [line for size in sizes for line in measure(bench, size, options.rounds or 1)]
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    headings = ["rows", "", "median", "", "peak memory", "no pages of files", options.format]
    print(machine + "\n")
    print(common.table(headings, lines))


if __name__ == "__main__":
    main()
