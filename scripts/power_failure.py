"""Replay a power failure after every write of a workload, in every way: `--seeds N` workloads.

A long run of what `tests/faults/test_power.py` does at some moments.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.faults.disk import compile_recorder
from tests.faults.power import replay, workload


def main() -> None:
    """Record workloads with both journals, and replay them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="workloads with each journal")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--every", type=int, default=1, help="only after every so many writes")
    arguments = parser.parse_args()
    states: Counter[str] = Counter()
    writes, started = 0, time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for journal in ("wal", "delete"):
            with tempfile.TemporaryDirectory() as folder:
                (root := Path(folder) / "root").mkdir()
                records = workload(root, compile_recorder(Path(folder)), journal, seed)
            states += replay(records, seed, every=arguments.every)
            writes += len(records)
            print(f"seed {seed}, journal {journal}: {len(records)} records, all whole", flush=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(states.items()))
    print(
        f"{writes} records, {states.total()} states ({kinds}), every one whole, "
        f"in {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
