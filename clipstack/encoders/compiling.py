"""A precision in, how OpenVINO is to compile for this CPU out."""

from __future__ import annotations

from typing import Any

from clipstack.encoders.cores import granted

HINTS = {"bf16": "bf16", "fp32": "f32"}
"""Our names of precisions, and OpenVINO's."""


def options(precision: str) -> dict[str, Any]:
    """One stream with all cores, which measured best: docs/adr/0008-openvino.md."""
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": granted(),
    }
