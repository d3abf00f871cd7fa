"""20,000 to 5,000,000 rows: the embedded index beside the one on Milvus Lite before it, and rclip.

    python benchmarks/scale.py [--quick] [--rounds 5] [--old CHECKOUT] [--engines local,old,rclip]

Whole processes on made-up rows of 512 numbers with a ViT-B/32, page cache warm: each command runs
once for its memory, and then for its time, the engines in turn; one that takes more than 5 seconds
is repeated only as long as 20 seconds are not over. The databases grow from size to size. CHECKOUT
is a clipstack of before the local index, with its environment in `.venv`. Figures are kept under
--work and shown again for engines that a later run leaves out. Prints Markdown.
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

import common
import dropped
import rows
from common import Ran, Unavailable, say
from engines import COMMANDS, Engine, Local, MilvusLite, Rclip, Shared, Way

KEYS = {"local": Local.name, "old": MilvusLite.name, "rclip": Rclip.name}
SIZES = (20_000, 200_000, 1_000_000, 5_000_000)
TOGETHER = 1_000_000
"""Rows up to which all engines' files fit into the page cache, so that they can take turns."""
LONG, ENOUGH = 5.0, 20.0
"""Seconds of a command that is not repeated for its memory, and of one's runs in all."""
_CLOSE = 0.005


@dataclass
class Taken:
    """The runs of one command."""

    way: Way
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    private: int = 0
    problem: str = ""

    def run(self, every: float) -> Ran | None:
        try:
            ran = self.way(every)
        except Unavailable as error:
            self.problem = str(error)
            say(f"    {error}")
            return None
        self.peak, self.private = max(self.peak, ran.peak), max(self.private, ran.private)
        return ran

    def measure_memory(self) -> None:
        """Run it once; what is long is not run again for its time."""
        ran = self.run(_CLOSE)
        if ran and ran.seconds > LONG:
            self.seconds.append(ran.seconds)

    def measure_time(self) -> None:
        """Run it once more, unless it fails or was run for long enough."""
        if self.problem or (sum(self.seconds) > ENOUGH):
            return
        if ran := self.run(0.05):
            self.seconds.append(ran.seconds)

    def record(self) -> dict[str, Any]:
        if self.problem:
            return {"problem": self.problem}
        return {"seconds": self.seconds, "peak": self.peak, "private": self.private}


def take_turns(ways: dict[str, Way], rounds: int) -> dict[str, dict[str, Any]]:
    """The records of one command, by engine."""
    runs = {engine: Taken(way) for engine, way in ways.items()}
    for one in runs.values():
        one.measure_memory()
    for number in range(rounds):
        for one in runs.values():
            if len(one.seconds) <= number:
                one.measure_time()
    return {engine: one.record() for engine, one in runs.items()}


class Bench:
    """The engines, and the figures of this run and those before it.

    Args:
        kept: the file with the figures.
    """

    def __init__(self, engines: dict[str, Engine], kept: Path, rounds: int) -> None:
        self.engines = engines
        self.kept = kept
        self.figures: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
        self._rounds = rounds
        self._rows = dict.fromkeys(engines, 0)
        self._written = dict.fromkeys(engines, 0.0)

    def measure(self, keys: Sequence[str], count: int) -> None:
        """Grow these engines to `count` rows and measure them in turns."""
        for key in keys:
            self._grow(key, count)
        keys = [key for key in keys if self._rows[key] == count]
        ways = {key: self.engines[key].ways(count) for key in keys}
        for key in keys:
            warm(self.engines[key].data)
            for command in ("search", "auto", "empty"):  # makes what is made once
                if command in ways[key]:
                    Taken(ways[key][command]).run(0.05)
        for command in COMMANDS:
            have = {key: ways[key][command] for key in keys if command in ways[key]}
            say(f"  {COMMANDS[command]}: {', '.join(have)}")
            for key, record in take_turns(have, self._rounds).items():
                self.figures[key][str(count)]["commands"][command] = record
        self._save()

    def _grow(self, key: str, count: int) -> None:
        say(f"  {KEYS[key]}: to {count:,} rows")
        place = self.figures.setdefault(key, {})
        place[str(count)] = {"commands": {}, "day": time.strftime("%Y-%m-%d")}
        try:
            self._written[key] += self.engines[key].grow(self._rows[key], count)
        except Unavailable as error:
            place[str(count)]["problem"] = str(error)
            return
        self._rows[key] = count
        bytes = rows.bytes_of(self.engines[key].data)
        place[str(count)] |= {"written": self._written[key], "bytes": bytes}

    def drop(self, count: int) -> None:
        """Measure the local index with its pages dropped from memory."""
        local = self.engines["local"]
        search = local.ways(count)["search"]
        self.figures["dropped"] = dropped.measure(search, local.data, min(3, self._rounds))
        self._save()

    def _save(self) -> None:
        self.kept.write_text(json.dumps(self.figures, indent=1))


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
    seconds = [*_rows(figures, sizes, _seconds), *_whole(figures, sizes)]
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
        for key, engine in KEYS.items():
            records = [
                figures.get(key, {}).get(str(size), {}).get("commands", {}).get(command)
                for size in sizes
            ]
            if any(records):
                lines.append([name, engine, *(cell(record) for record in records)])
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


def _whole(figures: dict[str, Any], sizes: Sequence[int]) -> list[list[str]]:
    """Lines for what is not a command: writing, and the size on the disk."""
    lines = []
    for name, field_, shown in (
        ("writing the rows", "written", lambda value: f"{value:.1f} s"),
        ("on the disk", "bytes", lambda value: f"{value / 1e9:.2f} GB"),
    ):
        for key, engine in KEYS.items():
            values = [figures.get(key, {}).get(str(size), {}).get(field_) for size in sizes]
            if any(values):
                cells = ["not run" if value is None else shown(value) for value in values]
                lines.append([name, engine, *cells])
                name = ""
    return lines


def _reasons(figures: dict[str, Any], sizes: Sequence[int]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for key, engine in KEYS.items():
        for size in sizes:
            where = f"{engine} at {size:,} rows"
            record = figures.get(key, {}).get(str(size), {"problem": "left out"})
            if "problem" in record:
                places[record["problem"]].append(where)
            for command, run in record.get("commands", {}).items():
                if "problem" in run:
                    places[run["problem"]].append(f"{where}, {COMMANDS[command]}")
    return [f"{'; '.join(where)}: {reason}" for reason, where in places.items()]


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.replace("_", "").split(",") if part)


def _options() -> argparse.Namespace:
    parser = common.options(__doc__ or "")
    parser.add_argument("--old", type=Path, help="a checkout of clipstack on Milvus Lite")
    parser.add_argument("--engines", default="local,old,rclip", help=", ".join(KEYS))
    parser.add_argument("--limit", type=float, default=400, help="seconds of one command")
    for key, sizes in (("local", SIZES), ("old", SIZES[:3]), ("rclip", SIZES)):
        default = ",".join(map(str, sizes))
        parser.add_argument(f"--{key}-sizes", type=_numbers, default=default, help="rows, with ,")
    asked = parser.parse_args()
    if unknown := set(asked.engines.split(",")) - set(KEYS):
        parser.error(f"there is no engine {', '.join(unknown)}; {', '.join(KEYS)} are")
    if asked.quick:
        asked.local_sizes = asked.old_sizes = asked.rclip_sizes = [2000, 12_000]
    return asked


def _engines(asked: argparse.Namespace, shared: Shared) -> dict[str, Engine]:
    wanted = asked.engines.split(",")
    engines: dict[str, Engine] = {}
    if "local" in wanted:
        engines["local"] = Local(shared)
    if "old" in wanted and asked.old:
        engines["old"] = MilvusLite(shared, asked.old)
    if "rclip" in wanted:
        try:
            engines["rclip"] = Rclip(shared, 512)
        except Unavailable as error:
            say(f"rclip: {error}")
    return engines


def main() -> None:
    asked = _options()
    machine = common.machine()
    shared = Shared(asked.work, common.model(asked), asked.limit)
    sizes = {key: getattr(asked, f"{key}_sizes") for key in KEYS}
    kept = asked.work / ("scale-quick.json" if asked.quick else "scale.json")
    rounds = asked.rounds or (1 if asked.quick else 5)
    bench = Bench(_engines(asked, shared), kept, rounds)
    try:
        for size in sorted({size for key in bench.engines for size in sizes[key]}):
            say(f"{size:,} rows")
            shared.link(size)
            keys = [key for key in bench.engines if size in sizes[key]]
            groups = [keys] if size <= TOGETHER else [[key] for key in keys]
            for group in groups:
                bench.measure(group, size)
            if "local" in keys and size == max(s for s in sizes["local"] if s <= TOGETHER):
                bench.drop(size)
    finally:
        shutil.rmtree(shared.folder, ignore_errors=True)
    shown = sorted({size for key in KEYS for size in sizes[key]})
    print(machine + "\n")
    print(tables(bench.figures, shown))
    if "dropped" in bench.figures:
        print("\n" + dropped.table(bench.figures["dropped"]))


if __name__ == "__main__":
    main()
