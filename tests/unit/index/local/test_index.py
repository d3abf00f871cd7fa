"""The contract of `Index`, held by SQLite and memory-mapped files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clipstack.index.base import Index
from clipstack.index.local.index import LocalIndex
from tests.index_contract.catalog import TestCatalog
from tests.index_contract.reading import TestFilled
from tests.index_contract.scores import TestScores
from tests.index_contract.writing import TestWriting

__all__ = ["TestCatalog", "TestFilled", "TestScores", "TestWriting"]


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "shared.db"


@pytest.fixture(scope="module")
def shared_index(shared_path: Path) -> Iterator[Index]:
    with LocalIndex(shared_path, wait=60, create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_other(shared_path: Path, shared_index: Index) -> Iterator[Index]:
    with LocalIndex(shared_path, wait=60) as opened:
        yield opened


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with LocalIndex(tmp_path / "own.db", wait=60, create=True) as opened:
        assert opened.location == str(tmp_path / "own.db")
        yield opened


@pytest.fixture
def other(tmp_path: Path, index: Index) -> Iterator[Index]:
    with LocalIndex(tmp_path / "own.db", wait=60) as opened:
        yield opened
