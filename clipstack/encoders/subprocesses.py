"""A module of ours and its arguments in; what it said, run as a process of its own, out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_module(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` with this package, to its end.

    What it imports and the memory that takes are gone then.

    Args:
        variables: of its environment, on top of ours.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        # OpenVINO's converter tells its makers of its use, unless this says that nobody is there.
        env=os.environ | {"PYTHONPATH": path, "CI": "true"} | variables,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what it wrote to stderr, or its exit code."""
    return (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1].strip()
