"""Kill -9 imports, changes, compactions and copies at random moments: `--kills N` of them.

A long run of what `tests/faults/test_kill.py` does a few times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.faults.kills import Soak


def main() -> None:
    """Kill, and look at what is left each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killed = Soak(Path(folder), arguments.seed).run(arguments.kills)
    for kind, count in sorted(killed.items()):
        print(f"{count:5} {kind}")
    print(f"{killed.total()} in all, nothing lost, in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
