"""What benchmarks share: places, peers in environments of their own, processes, tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
sys.path.insert(0, str(ROOT))


class Unavailable(Exception):
    """A peer that can't be installed or run here, and why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that ended well: wall seconds, the tree's greatest resident memory, its stdout."""

    seconds: float
    peak: int
    out: str

    @property
    def json(self) -> Any:
        """The last line of its stdout, or all of it, as JSON."""
        try:
            return json.loads(self.out)
        except ValueError:
            return json.loads(self.out.strip().splitlines()[-1])


def options(about: str) -> argparse.ArgumentParser:
    """A parser with what all have in common."""
    from platformdirs import user_cache_path

    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, once")
    parser.add_argument("--rounds", type=int, help="how often each takes its turn")
    parser.add_argument(
        "--work",
        type=Path,
        default=user_cache_path("clipstack-benchmarks"),
        help="where pictures, models and peers are kept for the next time",
    )
    parser.add_argument("--model", type=Path, help="a folder; a random ViT-B/32 by default")
    return parser


def say(text: str) -> None:
    """Progress, on stderr: stdout is the Markdown."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """The machine and how busy it is, in a line."""
    load = f"{os.getloadavg()[0]:.1f}"
    name = platform.machine()
    if Path("/proc/cpuinfo").exists():
        known = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in known if line.startswith("model name")]
        name = names[0] if names else name
    return (
        f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load average {load} at the start."
    )


def model(asked: argparse.Namespace) -> Path:
    """The model's folder."""
    from tests.models import vit_b_32

    return (asked.model or vit_b_32(asked.work)).absolute()


def own_environment(work: Path, data: Path) -> dict[str, str]:
    """For a `clipstack` with its data in `data` and its cache kept."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLIPSTACK_")}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "CLIPSTACK_DATA_DIR": str(data),
        "CLIPSTACK_CONFIG_DIR": str(work / "config"),
        "CLIPSTACK_CACHE_DIR": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
    }


def clipstack(*args: object) -> list[str]:
    """The command line of a `clipstack` of this source tree."""
    return [sys.executable, "-m", "clipstack", *map(str, args)]


def peer_python(name: str, work: Path) -> Path:
    """The Python of a peer's own environment, made from its requirements where there is none.

    Raises:
        Unavailable: it can't be installed.
    """
    wanted = (PEERS / f"requirements-{name}.txt").read_text()
    folder = work / "peers" / name
    made = folder / "made-from.txt"
    python = folder / "bin" / "python"
    if made.is_file() and made.read_text() == wanted:
        return python
    say(f"Installing {name} into an environment of its own")
    venv.create(folder, with_pip=True, clear=True)
    line = [
        str(python),
        "-m",
        "pip",
        "install",
        "-q",
        "-r",
        str(PEERS / f"requirements-{name}.txt"),
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"it can't be installed: {_last(done.stderr)}")
    made.write_text(wanted)
    return python


def run(
    line: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Ran:
    """Run a process to its end and watch its memory.

    Raises:
        Unavailable: it fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=None if env is None else dict(env),
        cwd=cwd,
    )
    watch = _Memory(process.pid)
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    peak = watch.stop()
    if process.returncode:
        raise Unavailable(_last(err) or _last(out) or f"it ended with {process.returncode}")
    return Ran(seconds, peak, out)


class _Memory(threading.Thread):
    """The greatest sum of a process tree's resident memory, in bytes, looked at 20 times a second,
    and after two seconds twice: to look takes CPU time from what is measured."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self._peak = 0
        self.start()

    def run(self) -> None:
        try:
            top = psutil.Process(self._pid)
        except psutil.Error:
            return
        begun = time.perf_counter()
        while not self._done.wait(0.05 if time.perf_counter() < begun + 2 else 0.5):
            self._peak = max(self._peak, _resident(top))

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self._peak


def _resident(top: psutil.Process) -> int:
    total = 0
    try:
        for process in [top, *top.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return total
    return total


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:200] if lines else ""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """The least and the greatest, with a unit."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit}"


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def megabytes(size: float) -> str:
    """Bytes as MB."""
    return f"{size / 1e6:,.0f} MB"
