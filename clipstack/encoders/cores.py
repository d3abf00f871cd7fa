"""This machine in, the number of cores this process may use out."""

from __future__ import annotations

import os
from pathlib import Path


def granted() -> int:
    """Cores this process may keep busy: of its affinity, and of its control group's quota.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return min(here, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # another system, or "max": no limit
        return here
