"""OpenVINO is imported without its converter: a new OpenVINO that needs it fails here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clipstack.encoders import choice

IMPORT = """
import sys
from clipstack.encoders.openvino import runtime
openvino = runtime.import_openvino()
unwanted = ("openvino.tools.ovc", "openvino_telemetry")
loaded = [name for name in sys.modules if name.startswith(unwanted)]
print(openvino.Core.__name__, loaded, hasattr(openvino, "convert_model"))
"""


@pytest.mark.skipif(not choice.has_openvino(), reason="OpenVINO is for x86")
def test_openvino_is_imported_without_its_converter() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "Core [] False", (
        "the package openvino no longer does without openvino.tools.ovc: see "
        f"encoders/openvino/runtime.py. {done.stdout}{done.stderr}"
    )
