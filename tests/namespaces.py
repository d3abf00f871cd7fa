"""Processes with mounts of their own: read-only folders and small disks, which end with them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def inside(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script whose mounts nobody else sees; skips the test where that can't be.

    Args:
        arguments: `$1` and so on.
    """
    way = _way()
    if way is None:
        pytest.skip("mounting needs Linux, and the right to make namespaces")
    command = [*way, "sh", "-euc", script, "sh", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def read_only(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command to which a folder is on a file system that can only be read."""
    script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'
    return inside(script, folder, *command)


def without_rights(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a command as this user, but without the rights of root; skips where that can't be."""
    if os.geteuid():
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)
    trial = subprocess.run(["unshare", "--user", "true"]) if shutil.which("unshare") else None
    if trial is None or trial.returncode:
        pytest.skip("root can do anything here")
    line = ["unshare", "--user", *map(str, command)]
    return subprocess.run(line, capture_output=True, text=True)


@functools.cache
def _way() -> tuple[str, ...] | None:
    if shutil.which("unshare") is None or os.uname().sysname != "Linux":
        return None
    for way in (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user")):
        trial = [*way, "sh", "-c", "mount -t tmpfs none /mnt"]
        if subprocess.run(trial, capture_output=True).returncode == 0:
            return way
    return None
