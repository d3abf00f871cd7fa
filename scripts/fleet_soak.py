"""Import and search for `--minutes N` by three encoders: one good, one flaky, one that hangs.

A long run of what `tests/service/test_fleet.py` does for some seconds. It prints how many searches
there were, how many failed, and how long they took, beside those by the good one alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.faults.fleet import Soak


def main() -> int:
    """Search by both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.seed)
        soak.run(arguments.minutes * 60)
    print("encoders  searches  failed   p50 s   p95 s   max s")
    for name, timings in (("good one", soak.alone), ("all three", soak.fleet)):
        p50, p95 = timings.percentile(0.5), timings.percentile(0.95)
        count, failed, longest = len(timings.seconds), len(timings.failures), max(timings.seconds)
        print(f"{name:9} {count:8} {failed:7} {p50:7.2f} {p95:7.2f} {longest:7.2f}")
    print(f"{soak.imports} imports beside them, {len(soak.import_failures)} failed")
    for failure in (soak.alone.failures + soak.fleet.failures + soak.import_failures)[:5]:
        print(failure)
    is_bad = soak.fleet.failures or soak.import_failures
    slow = soak.fleet.percentile(0.95) >= 2 * soak.alone.percentile(0.95)
    return 1 if is_bad or slow else 0


if __name__ == "__main__":
    sys.exit(main())
