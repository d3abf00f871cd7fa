"""20,000 to 5,000,000 rows: the embedded index beside the one on Milvus Lite before it, and rclip.

    python benchmarks/scale.py [--quick] [--rounds 5] [--old CHECKOUT] [--systems local,old,rclip]

Whole processes on made-up rows of 512 numbers with a ViT-B/32, page cache warm: each command runs
once for its memory, and then for its time, the systems in turn; one that takes more than 5 seconds
is repeated only as long as 20 seconds are not over. The databases grow from size to size. CHECKOUT
is a clipstack of before the local index, with its environment in `.venv`. Figures are kept under
--work and shown again for systems that a later run leaves out. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cold_cache
import common
import databases
from common import Ran, Unavailable, say
from systems import COMMANDS, Command, Local, MilvusLite, Rclip, Shared, System

KEYS = {"local": Local.name, "old": MilvusLite.name, "rclip": Rclip.name}
SIZES = (20_000, 200_000, 1_000_000, 5_000_000)
IN_TURNS_ROWS = 1_000_000
"""Rows up to which the files of all systems fit into the page cache, so that they take turns."""
LONG_SECONDS, TOTAL_SECONDS = 5.0, 20.0
"""Seconds from which a command is not repeated for its time, and of all runs of a command."""
_FINE_INTERVAL = 0.005


@dataclass
class Timings:
    """The runs of one command."""

    command: Command
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    private: int = 0
    problem: str = ""

    def run(self, every: float) -> Ran | None:
        try:
            ran = self.command(every)
        except Unavailable as error:
            self.problem = str(error)
            say(f"    {error}")
            return None
        self.peak, self.private = max(self.peak, ran.peak), max(self.private, ran.private)
        return ran

    def measure_memory(self) -> None:
        """Run it once; what is long is not run again for its time."""
        ran = self.run(_FINE_INTERVAL)
        if ran and ran.seconds > LONG_SECONDS:
            self.seconds.append(ran.seconds)

    def measure_time(self) -> None:
        """Run it once more, unless it fails or was run for long enough."""
        if self.problem or (sum(self.seconds) > TOTAL_SECONDS):
            return
        if ran := self.run(0.05):
            self.seconds.append(ran.seconds)

    def record(self) -> dict[str, Any]:
        if self.problem:
            return {"problem": self.problem}
        return {"seconds": self.seconds, "peak": self.peak, "private": self.private}


def measure_in_turns(commands: dict[str, Command], rounds: int) -> dict[str, dict[str, Any]]:
    """The records of one command, by system."""
    timings = {system: Timings(command) for system, command in commands.items()}
    for timing in timings.values():
        timing.measure_memory()
    for number in range(rounds):
        for timing in timings.values():
            if len(timing.seconds) <= number:
                timing.measure_time()
    return {system: timing.record() for system, timing in timings.items()}


class Bench:
    """The systems, and the figures of this run and earlier ones.

    Args:
        figures_file: with the figures.
    """

    def __init__(self, systems: dict[str, System], figures_file: Path, rounds: int) -> None:
        self.systems = systems
        self.figures_file = figures_file
        self.figures: dict[str, Any] = {}
        if figures_file.exists():
            self.figures = json.loads(figures_file.read_text())
        self._rounds = rounds
        self._rows = dict.fromkeys(systems, 0)
        self._written = dict.fromkeys(systems, 0.0)

    def measure(self, keys: Sequence[str], count: int) -> None:
        """Grow these systems to `count` rows and measure them in turns."""
        for key in keys:
            self._grow(key, count)
        keys = [key for key in keys if self._rows[key] == count]
        commands = {key: self.systems[key].commands(count) for key in keys}
        for key in keys:
            warm(self.systems[key].data)
            for command in ("search", "auto", "empty"):  # so that caches are filled
                if command in commands[key]:
                    Timings(commands[key][command]).run(0.05)
        for command in COMMANDS:
            by_system = {key: commands[key][command] for key in keys if command in commands[key]}
            say(f"  {COMMANDS[command]}: {', '.join(by_system)}")
            for key, record in measure_in_turns(by_system, self._rounds).items():
                self.figures[key][str(count)]["commands"][command] = record
        self._save()

    def _grow(self, key: str, count: int) -> None:
        say(f"  {KEYS[key]}: to {count:,} rows")
        records = self.figures.setdefault(key, {})
        records[str(count)] = {"commands": {}, "day": time.strftime("%Y-%m-%d")}
        try:
            self._written[key] += self.systems[key].grow(self._rows[key], count)
        except Unavailable as error:
            records[str(count)]["problem"] = str(error)
            return
        self._rows[key] = count
        bytes = databases.bytes_of(self.systems[key].data)
        records[str(count)] |= {"written": self._written[key], "bytes": bytes}

    def drop(self, count: int) -> None:
        """Measure the local index with its pages dropped from memory."""
        local = self.systems["local"]
        search = local.commands(count)["search"]
        self.figures["dropped"] = cold_cache.measure(search, local.data, min(3, self._rounds))
        self._save()

    def _save(self) -> None:
        self.figures_file.write_text(json.dumps(self.figures, indent=1))


def warm(folder: Path) -> None:
    """Read all files of a folder, so that the system has them in memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(8 << 20):
                    pass


def tables(figures: dict[str, Any], sizes: Sequence[int]) -> str:
    """The figures as Markdown: times, memory, and why some are missing."""
    headings = ["", "", *(f"{size:,} rows" for size in sizes)]
    seconds = [*_rows(figures, sizes, _seconds), *_totals(figures, sizes)]
    parts = [
        common.table(headings, seconds),
        "Resident memory, and of that what are no pages of files:",
        common.table(headings, list(_rows(figures, sizes, _memory))),
    ]
    reasons = _reasons(figures, sizes)
    if reasons:
        parts.append("Not run:\n" + "\n".join(f"- {reason}" for reason in reasons))
    days = sorted({record["day"] for key in KEYS for record in figures.get(key, {}).values()})
    parts.append(f"Measured {' and '.join(days)}; medians, in brackets how many runs if not 5.")
    return "\n\n".join(parts)


def _rows(figures: dict[str, Any], sizes: Sequence[int], cell: Any) -> list[list[str]]:
    lines = []
    for command, name in COMMANDS.items():
        for key, system in KEYS.items():
            records = [
                figures.get(key, {}).get(str(size), {}).get("commands", {}).get(command)
                for size in sizes
            ]
            if any(records):
                lines.append([name, system, *(cell(record) for record in records)])
                name = ""
    return lines


def _seconds(record: dict[str, Any] | None) -> str:
    if not record or "problem" in record:
        return "not run" if not record else "failed"
    times = record["seconds"]
    runs = "" if len(times) == 5 else f" ({len(times)})"
    return f"{common.middle(times):.2f} s{runs}"


def _memory(record: dict[str, Any] | None) -> str:
    if not record or "problem" in record:
        return ""
    return f"{common.megabytes(record['peak'])}, {common.megabytes(record['private'])}"


def _totals(figures: dict[str, Any], sizes: Sequence[int]) -> list[list[str]]:
    """Lines for what is not a command: writing, and the size on the disk."""
    lines = []
    for name, field_, shown in (
        ("writing the rows", "written", lambda value: f"{value:.1f} s"),
        ("on the disk", "bytes", lambda value: f"{value / 1e9:.2f} GB"),
    ):
        for key, system in KEYS.items():
            values = [figures.get(key, {}).get(str(size), {}).get(field_) for size in sizes]
            if any(values):
                cells = ["not run" if value is None else shown(value) for value in values]
                lines.append([name, system, *cells])
                name = ""
    return lines


def _reasons(figures: dict[str, Any], sizes: Sequence[int]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for key, system in KEYS.items():
        for size in sizes:
            place = f"{system} at {size:,} rows"
            record = figures.get(key, {}).get(str(size), {"problem": "left out"})
            if "problem" in record:
                places[record["problem"]].append(place)
            for command, run in record.get("commands", {}).items():
                if "problem" in run:
                    places[run["problem"]].append(f"{place}, {COMMANDS[command]}")
    return [f"{'; '.join(place)}: {reason}" for reason, place in places.items()]


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.replace("_", "").split(",") if part)


def _parse_options() -> argparse.Namespace:
    parser = common.options(__doc__ or "")
    parser.add_argument("--old", type=Path, help="a checkout of clipstack on Milvus Lite")
    parser.add_argument("--systems", default="local,old,rclip", help=", ".join(KEYS))
    parser.add_argument("--limit", type=float, default=400, help="seconds of one command")
    for key, sizes in (("local", SIZES), ("old", SIZES[:3]), ("rclip", SIZES)):
        default = ",".join(map(str, sizes))
        parser.add_argument(f"--{key}-sizes", type=_numbers, default=default, help="rows, with ,")
    options = parser.parse_args()
    if unknown := set(options.systems.split(",")) - set(KEYS):
        parser.error(f"there is no system {', '.join(unknown)}; {', '.join(KEYS)} are")
    if options.quick:
        options.local_sizes = options.old_sizes = options.rclip_sizes = [2000, 12_000]
    return options


def _systems(options: argparse.Namespace, shared: Shared) -> dict[str, System]:
    wanted = options.systems.split(",")
    systems: dict[str, System] = {}
    if "local" in wanted:
        systems["local"] = Local(shared)
    if "old" in wanted and options.old:
        systems["old"] = MilvusLite(shared, options.old)
    if "rclip" in wanted:
        try:
            systems["rclip"] = Rclip(shared, 512)
        except Unavailable as error:
            say(f"rclip: {error}")
    return systems


def main() -> None:
    options = _parse_options()
    machine = common.machine()
    shared = Shared(options.work, common.model(options), options.limit)
    sizes = {key: getattr(options, f"{key}_sizes") for key in KEYS}
    figures_file = options.work / ("scale-quick.json" if options.quick else "scale.json")
    rounds = options.rounds or (1 if options.quick else 5)
    bench = Bench(_systems(options, shared), figures_file, rounds)
    try:
        for size in sorted({size for key in bench.systems for size in sizes[key]}):
            say(f"{size:,} rows")
            shared.link(size)
            keys = [key for key in bench.systems if size in sizes[key]]
            groups = [keys] if size <= IN_TURNS_ROWS else [[key] for key in keys]
            for group in groups:
                bench.measure(group, size)
            if "local" in keys and size == max(s for s in sizes["local"] if s <= IN_TURNS_ROWS):
                bench.drop(size)
    finally:
        shutil.rmtree(shared.folder, ignore_errors=True)
    shown = sorted({size for key in KEYS for size in sizes[key]})
    print(machine + "\n")
    print(tables(bench.figures, shown))
    if "dropped" in bench.figures:
        print("\n" + cold_cache.table(bench.figures["dropped"]))


if __name__ == "__main__":
    main()
