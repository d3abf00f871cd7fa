"""OpenVINO, imported without its converter, and how it compiles for this CPU."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from clipstack.encoders.cpu import available_cores

HINTS = {"bf16": "bf16", "fp32": "f32"}
"""Our names of precisions, and OpenVINO's."""


def compile_properties(precision: str) -> dict[str, Any]:
    """Options of `compile_model`: one stream with all cores, which measured best
    (docs/adr/0008-openvino.md)."""
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": available_cores(),
    }


def import_openvino() -> ModuleType:
    """The `openvino` package without its converter, if that is not imported already.

    The converter is half of the package's import time, and sends telemetry; the package itself
    does without if the converter can't be imported.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: F401
    finally:
        del sys.modules["openvino.tools.ovc"]
    return sys.modules["openvino"]
