"""The folders and files that get markers exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MARKERS_BY_PATH


@pytest.mark.parametrize("path", MARKERS_BY_PATH)
def test_path_exists(path: str) -> None:
    assert (Path(__file__).parents[1] / path).exists()
