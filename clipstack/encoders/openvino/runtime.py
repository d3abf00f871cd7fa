"""A precision in, how OpenVINO is to compile for this CPU out; and OpenVINO itself."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from clipstack.encoders.cpu import available_cores

HINTS = {"bf16": "bf16", "fp32": "f32"}
"""Our names of precisions, and OpenVINO's."""


def compile_properties(precision: str) -> dict[str, Any]:
    """One stream with all cores, which measured best: docs/adr/0008-openvino.md."""
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": available_cores(),
    }


def import_openvino() -> ModuleType:
    """The `openvino` package without its converter, if that is not imported already.

    The converter is half of what the package costs to import, and what tells its makers of its
    use; the package itself takes it for one that may be missing.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    try:
        import openvino  # noqa: F401
    finally:
        del sys.modules["openvino.tools.ovc"]
    return sys.modules["openvino"]
