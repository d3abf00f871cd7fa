"""The number of cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def available_cores() -> int:
    """Cores of this process's affinity, within its control group's quota; OMP_NUM_THREADS, which
    PyTorch reads too, overrides both.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max.
    """
    omp_threads = os.environ.get("OMP_NUM_THREADS", "")
    if omp_threads.isdecimal() and int(omp_threads):
        return int(omp_threads)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # another system, or "max": no limit
        return cores
