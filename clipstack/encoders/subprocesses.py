"""Modules of this package that run in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from clipstack import interrupts
from clipstack.retry import InterruptError


def run_module(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` with this package, to its end.

    What it imports, and the memory for it, is released then.

    Args:
        variables: environment variables, on top of this process's.

    Raises:
        InterruptError: a signal has ended it, in a thread that gets no KeyboardInterrupt.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", module, *arguments]
    with interrupts.starting_child():
        process = subprocess.Popen(
            command,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # OpenVINO's converter sends telemetry unless it runs in CI.
            env=os.environ | {"PYTHONPATH": path, "CI": "true"} | variables,
            start_new_session=True,
        )
        interrupts.add_group(process.pid, signal.SIGTERM)
    try:
        out, err = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        interrupts.remove_group(process.pid)
    if interrupts.received():
        raise InterruptError
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def last_line(process: subprocess.CompletedProcess[str]) -> str:
    """The last line of what it wrote to stderr, or its exit code."""
    return (
        (process.stderr.strip() or f"it ended with {process.returncode}").splitlines()[-1].strip()
    )
