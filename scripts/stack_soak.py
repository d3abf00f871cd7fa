"""Change a stack in `--interleavings N` random ways: commands at once, ended, killed, and more.

A long run of what `tests/stack/test_interleavings.py` does a few times. After each the stack has to
start again with its data, and nothing may be left. Docker's engine is killed only with `--engine
COMMAND`, a command that kills it and starts it again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.stack.interleavings import Interleavings
from tests.stack.stacks import Stack, removed


def main() -> int:
    """Let it happen, and look at what is left each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interleavings", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", default="", help="kills Docker's engine and starts it again")
    parser.add_argument("--project", default="clipstack-soak")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin none after this long")
    arguments = parser.parse_args()
    started = time.monotonic()
    done = failures = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        removed(Stack(Path(folder), arguments.project)) as stack,
    ):
        interleavings = Interleavings(stack, arguments.seed, arguments.engine)
        while done < arguments.interleavings and time.monotonic() - started < arguments.seconds:
            done += 1
            try:
                print(f"seed {arguments.seed}, {done}:", *interleavings.run(), sep="; ", flush=True)
            except AssertionError as error:
                failures += 1
                print(f"seed {arguments.seed}, {done}: FAILED {error}", flush=True)
    for kind, count in sorted(interleavings.happened.items()):
        print(f"{count:5} {kind}")
    print(f"{done} in all, {failures} failed, in {time.monotonic() - started:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
