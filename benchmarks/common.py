"""What benchmarks share: places, peers in environments of their own, processes, tables."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
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
    """A process that ended well.

    Attributes:
        seconds: of wall time.
        peak: the greatest resident memory of it and its children, in bytes.
        private: of that, without pages of files; 0 where the system does not tell.
        out: its stdout.
    """

    seconds: float
    peak: int
    private: int
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


def own_environment(
    work: Path, data: Path, *, root: Path = ROOT, cache: str = "cache"
) -> dict[str, str]:
    """For a `clipstack` of the source tree `root`, with its data in `data` and its cache kept."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLIPSTACK_")}
    return kept | {
        "PYTHONPATH": str(root),
        "CLIPSTACK_DATA_DIR": str(data),
        "CLIPSTACK_CONFIG_DIR": str(work / "config"),
        "CLIPSTACK_CACHE_DIR": str(work / cache),
        "HF_HUB_OFFLINE": "1",
    }


def clipstack(*args: object) -> list[str]:
    """The command line of a `clipstack` of this source tree."""
    return [sys.executable, "-m", "clipstack", *map(str, args)]


def requirements(name: str) -> Path:
    """The requirements file of a peer."""
    return PEERS / f"requirements-{name}.txt"


def release(name: str) -> str:
    """A peer and its version, as its requirements have it: "rclip 4.0.8"."""
    return requirements(name).read_text().split()[0].replace("==", " ")


def peer_python(name: str, work: Path, least: tuple[int, int] = (3, 0)) -> Path:
    """The Python of a peer's own environment, made from its requirements where there is none.

    Args:
        least: the oldest Python it runs on.

    Raises:
        Unavailable: it can't be installed.
    """
    wanted = requirements(name).read_text()
    folder = work / "peers" / name
    made = folder / "made-from.txt"
    python = folder / "bin" / "python"
    if made.is_file() and made.read_text() == wanted:
        return python
    say(f"Installing {name} into an environment of its own")
    for line in (
        [_newer_python(least), "-m", "venv", "--clear", folder],
        [python, "-m", "pip", "install", "-q", "-r", requirements(name)],
    ):
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"it can't be installed: {_end_of(done.stderr)}")
    made.write_text(wanted)
    return python


def _newer_python(least: tuple[int, int]) -> str:
    """This Python, or one of at least that version: from PATH, or of pyenv's.

    Raises:
        Unavailable: there is none.
    """
    if sys.version_info >= least:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(least[1], least[1] + 3):
        name = f"python3.{minor}"
        for python in (name, *map(str, pyenv.glob(f"3.{minor}.*/bin/python"))):
            with contextlib.suppress(OSError):
                if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
                    return python
    raise Unavailable(f"it needs Python {least[0]}.{least[1]} or newer, which is not here")


def run(
    line: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    every: float = 0.05,
    limit: float | None = None,
) -> Ran:
    """Run a process to its end and watch its memory.

    Args:
        every: seconds between two looks at its memory, in its first two seconds; then half a
            second: to look takes CPU time from what is measured.
        limit: seconds after which it is ended.

    Raises:
        Unavailable: it fails, or takes longer.
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
    watch = _Memory(process.pid, every)
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired as late:
        _end(process)
        raise Unavailable(f"it takes longer than {limit:.0f} s") from late
    finally:
        peak, private = watch.stop()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise Unavailable(_end_of(err) or _end_of(out) or f"it ended with {process.returncode}")
    return Ran(seconds, peak, private, out)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.communicate()


class _Memory(threading.Thread):
    """The greatest sums of a process tree's memory: resident, and that without pages of files."""

    def __init__(self, pid: int, every: float) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._every = every
        self._done = threading.Event()
        self._peak = (0, 0)
        self.start()

    def run(self) -> None:
        try:
            top = psutil.Process(self._pid)
        except psutil.Error:
            return
        begun = time.perf_counter()
        while not self._done.wait(self._every if time.perf_counter() < begun + 2 else 0.5):
            resident, private = memory_of(top)
            self._peak = max(self._peak[0], resident), max(self._peak[1], private)

    def stop(self) -> tuple[int, int]:
        self._done.set()
        self.join()
        return self._peak


def memory_of(top: psutil.Process) -> tuple[int, int]:
    """Resident bytes of a process and its children, and those of them that are no pages of files:
    the system can't take those back (RssAnon of Linux; 0 elsewhere)."""
    resident, private = 0, 0
    with contextlib.suppress(psutil.Error):
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error, OSError):
                resident += process.memory_info().rss
                private += _anonymous(Path(f"/proc/{process.pid}/status"))
    return resident, private


def _anonymous(status: Path) -> int:
    if not status.exists():
        return 0
    lines = (line.split() for line in status.read_text().splitlines())
    return sum(1024 * int(line[1]) for line in lines if line[0] == "RssAnon:")


def _end_of(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-2:])[:300]


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
