"""Faults of NNCF."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from clipstack.encoders import choice
from clipstack.encoders.models.catalog import describe, resolve
from clipstack.encoders.openvino import quantization
from clipstack.errors import ClipstackError, PrerequisiteError

on_x86 = pytest.mark.skipif(not choice.has_openvino(), reason="OpenVINO is for x86")


def test_nncf_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(PrerequisiteError) as error:
        quantization.check_installed()
    assert "pip install 'clipstack-search[optimize]'" in error.value.hint


@on_x86
def test_nncf_failing_is_told(tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path / "cache"))
    info = describe(resolve("shapes", download=False))
    np.save(tmp_path / "pixels.npy", np.zeros((3, 5, 5, 3), np.uint8))
    with pytest.raises(ClipstackError, match="NNCF can't quantise shapes"):
        quantization.quantize(info, tmp_path / "pixels.npy", Path(tmp_path), "quick")
