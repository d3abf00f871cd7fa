"""What tests of the index on this machine begin with: one with rows, its files, its rows read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from clipstack.index.base import Collection
from clipstack.index.local.index import LocalIndex
from tests.faults.workload import row_of, vector_of
from tests.material import Model

DIMENSION = 16
ROWS = 200


def fill(path: Path, rows: int = 200, name: str = "images") -> Path:
    """Make a database with a collection of rows `/0`, `/1` and so on; returns its path."""
    with LocalIndex(path, wait=10, create=True) as index:
        index.create(name, Model(dimension=DIMENSION), "COSINE")
        index.collection(name).upsert([numbered_row(number) for number in range(rows)])
    return path


def numbered_row(number: int, version: int = 0):
    """The row `/number`, whose vector follows from its path and version."""
    return row_of(f"/{number}", version, DIMENSION)


def vectors_file(path: Path) -> Path:
    """The only file of vectors of the database at `path`."""
    (file,) = path.with_name(f"{path.name}-vectors").iterdir()
    return file


def findable_rows(collection: Collection, numbers: Iterable[int]) -> set[int]:
    """Those of the numbered rows that a search for their own vectors finds first."""
    numbers = list(numbers)
    vectors = np.stack([vector_of(f"/{number}", 0, DIMENSION) for number in numbers])
    hits = collection.search(vectors, limit=3)
    found = {
        number
        for number, top_hits in zip(numbers, hits, strict=True)
        if top_hits[0].path == f"/{number}"
    }
    for number, top_hits in zip(numbers, hits, strict=True):
        if number in found:
            assert abs(top_hits[0].score - 1) < 1e-6
    return found


def in_process(function: Callable[..., object], *arguments: object) -> str:
    """What a function of a test module prints in a process of its own.

    Args:
        arguments: given to it as texts.
    """
    call = f"import sys, {function.__module__} as module; module.{function.__name__}(*sys.argv[1:])"
    command = [sys.executable, "-c", call, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
