"""Quantisation by NNCF: an export and pictures in, its image tower as an int8 graph out.

NNCF is not needed to use the result; it imports PyTorch and SciPy, so it runs in a process of its
own and its memory goes when that ends.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clipstack.encoders import subprocesses
from clipstack.encoders.openvino import export, int8_store
from clipstack.errors import ClipstackError, PrerequisiteError

if TYPE_CHECKING:
    from clipstack.encoders.base import ModelInfo

Care = Literal["quick", "careful"]
CARES: tuple[Care, ...] = ("quick", "careful")
"""How much stays as it was: the ends of the tower, or also each block's second MLP product, which
costs int8 most of what is lost (docs/adr/0009-int8.md)."""
_CAREFUL = ".*mlp.fc2.*"


def check_installed() -> None:
    """Raises PrerequisiteError unless NNCF is installed."""
    if importlib.util.find_spec("nncf") is None:
        raise PrerequisiteError(
            "int8 is made by NNCF, which is not installed",
            hint="Type `pip install 'clipstack-search[optimize]'`. "
            "It is not needed to use the result.",
        )


def quantize(model: ModelInfo, pixels: Path, folder: Path, care: Care) -> None:
    """Write the model's image tower as an int8 graph into an empty folder; takes about a minute.

    Args:
        model: one that is exported already.
        pixels: a .npy file, uint8 [n, height, width, 3]: what activations are measured on.
        care: how much is left out.

    Raises:
        PrerequisiteError: NNCF is not installed.
        ClipstackError: NNCF failed.
    """
    check_installed()
    process = subprocesses.run_module(
        "clipstack.encoders.openvino.quantization",
        *(str(export.ensure_export(model) / export.IMAGES), str(pixels), str(folder), care),
        NNCF_CI="1",  # no telemetry of NNCF either
    )
    if process.returncode:
        raise ClipstackError(f"NNCF can't quantise {model.name}: {subprocesses.last_line(process)}")


def _write(graph: Path, pixels: Path, folder: Path, care: Care) -> None:
    """What was measured to choose these parameters is in docs/adr/0009-int8.md."""
    import nncf
    import numpy as np
    import openvino
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    pictures = np.load(pixels, mmap_mode="r")
    tower = openvino.Core().read_model(graph)
    quantized = nncf.quantize(
        tower,
        nncf.Dataset(range(len(pictures)), lambda at: np.array(pictures[at : at + 1])),
        subset_size=len(pictures),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(
            names=_ends(tower), patterns=[_CAREFUL] if care == "careful" else [], validate=False
        ),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.DISABLE,  # CPUs with VNNI add up 8-bit products exactly
            disable_bias_correction=True,
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        ),
    )
    openvino.save_model(quantized, folder / int8_store.GRAPH, compress_to_fp16=False)


def _ends(tower: Any) -> list[str]:
    """The first and the last product of the tower: little work, and much of the error."""
    products = [
        operation.get_friendly_name()
        for operation in tower.get_ordered_ops()
        if operation.get_type_name() == "MatMul"
    ]
    return [products[0], products[-1]]


def versions() -> dict[str, str]:
    """The versions of the packages that make a graph."""
    from importlib.metadata import version

    return {name: version(name) for name in ("nncf", "openvino")}


def _main(graph: str, pixels: str, folder: str, care: str) -> int:
    _write(Path(graph), Path(pixels), Path(folder), "careful" if care == "careful" else "quick")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(*sys.argv[1:]))
