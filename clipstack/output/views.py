"""Which way a metric's scores are better."""

from __future__ import annotations


def better(metric: str) -> str:
    """Which way scores of `metric` are better: "higher" or "lower"."""
    return "lower" if metric == "L2" else "higher"
