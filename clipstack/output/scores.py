"""Scores of hits, as text."""

from __future__ import annotations

from clipstack.index.schema import higher_is_better


def better(metric: str) -> str:
    """Which scores of `metric` are better: "higher" or "lower"."""
    return "higher" if higher_is_better(metric) else "lower"


def format_score(score: float, metric: str) -> str:
    """A score: a squared distance is large, and similarities differ little."""
    return f"{score:.2f}" if metric == "L2" else f"{score:.4f}"
