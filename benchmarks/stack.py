"""What a person waits for with the stack: up from cold, up again, health, down.

    python benchmarks/stack.py [--rounds 5]

Real services on the images the CLIPSTACK_*_IMAGE variables name, which must be here already, in a
stack of its own on free ports; its volumes are removed at the end. Prints Markdown tables of
medians: how long each service took, and what it waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

PORTS = ("ETCD", "MINIO", "MILVUS", "MILVUS_HEALTH", "BENTOML")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clipstack(*args: str, codes: Sequence[int] = (0,)) -> tuple[float, Any]:
    """Wall seconds of a command as a process, and its JSON."""
    started = time.perf_counter()
    line = [sys.executable, "-m", "clipstack", *args, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    return time.perf_counter() - started, json.loads(done.stdout)


def row(what: str, times: list[float]) -> str:
    low, middle, high = min(times), statistics.median(times), max(times)
    return f"| {what} | {middle:.2f} s | {low:.2f} to {high:.2f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = defaultdict(list)
    ready: dict[str, list[float]] = defaultdict(list)
    waits: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {f"CLIPSTACK_{kind}_DIR": folder for kind in ("DATA", "CONFIG", "CACHE")}
        os.environ |= {f"CLIPSTACK_{name}_PORT": str(free_port()) for name in PORTS}
        os.environ["CLIPSTACK_PROJECT"] = "clipstack-benchmark"
        try:
            for _ in range(rounds):
                seconds, made = clipstack("up")
                times["`up` from nothing, images here"].append(seconds)
                for one in made["services"]:
                    ready[one["name"]].append(one["seconds"])
                    for what, spent in one["waited_for"].items():
                        waits[one["name"]][what].append(spent)
                times["`up` on a running stack"].append(clipstack("up")[0])
                for _ in range(3):
                    times["`health`"].append(clipstack("health")[0])
                times["`status`"].append(clipstack("status")[0])
                times["`down --volumes`"].append(clipstack("down", "--volumes", "--yes")[0])
        finally:
            clipstack("down", "--volumes", "--yes")
    print("| what | median | from, to |\n|---|---|---|")
    for what, taken in times.items():
        print(row(what, taken))
    print("\n| service | ready after | it waited for |\n|---|---|---|")
    for name, taken in ready.items():
        why = ", ".join(f"{n} {statistics.median(spent):.1f} s" for n, spent in waits[name].items())
        print(f"| {name} | {statistics.median(taken):.1f} s | {why} |")


if __name__ == "__main__":
    main()
