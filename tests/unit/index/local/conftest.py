"""What tests of the local index begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local_index import ROWS, fill


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one collection of `ROWS` rows."""
    return fill(tmp_path / "some.db", ROWS)
