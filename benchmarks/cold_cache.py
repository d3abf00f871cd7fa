"""A search with a cold page cache, compared with the speed of the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
from common import Ran, Unavailable, say

_DROP = Path("/proc/sys/vm/drop_caches")
_BLOCK = 8 << 20


def measure(search: Callable[[float], Ran], data: Path, rounds: int) -> dict[str, Any]:
    """Seconds of a search with only its rows dropped from memory, and with everything dropped, and
    those of reading the largest file, the vectors, from its start to its end in the same states.

    Args:
        search: runs one.
        data: the folder with the rows.
    """
    vectors = max((path for path in data.rglob("*") if path.is_file()), key=_size)
    figures: dict[str, Any] = {"bytes": _size(vectors)}
    for name, drop in (("rows", lambda: _drop_folder(data)), ("all", _drop_all)):
        say(f"  search with {name} dropped from memory")
        figures[name] = {"search": [], "read": []}
        for _ in range(rounds):
            try:
                drop()
                figures[name]["search"].append(search(0.05).seconds)
                drop()
            except (OSError, Unavailable) as error:
                figures[name]["problem"] = str(error)
                break
            figures[name]["read"].append(_read(vectors))
    return figures


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    size = figures["bytes"]
    lines = []
    for name, what in (
        ("rows", "only the rows' files are not in memory"),
        ("all", "nothing is: neither Python, the model nor the rows"),
    ):
        figures = figures[name]
        if "problem" in figures:
            lines.append([what, "not run", figures["problem"], ""])
            continue
        seconds, read = common.middle(figures["search"]), common.middle(figures["read"])
        rate = f"{size / read / 1e9:.2f} GB/s"
        lines.append([what, f"{seconds:.2f} s", f"{read:.2f} s", rate])
    headings = ['page cache dropped: `search "a dog"`', "median", "reading its vectors", "disk"]
    return common.table(headings, lines)


def _size(path: Path) -> int:
    return path.stat().st_size


def _drop_folder(folder: Path) -> None:
    """Drop the cached pages of all files in a folder; none may be mapped."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _drop_all() -> None:
    """Drop all caches of the system.

    Raises:
        OSError: the user is not root.
    """
    os.sync()
    _DROP.write_text("3")


def _read(path: Path) -> float:
    """Seconds to read a file from start to end."""
    started = time.perf_counter()
    buffer = bytearray(_BLOCK)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - started
