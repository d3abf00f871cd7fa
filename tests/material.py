"""What many tests begin with: a folder of drawn pictures, a model's name, a row."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipstack.index.schema import Row, row_id
from clipstack.scenes import demo_scenes


@dataclass(frozen=True)
class Model:
    """What a collection needs to know of a model; there are no weights."""

    name: str = "some/model"
    revision: str = "abc"
    fingerprint: str = "f00d"
    dimension: int = 4


def draw(folder: Path, count: int, size: int) -> Path:
    """Draw `count` scenes of `size` pixels into `folder`, as 0000.png and so on; returns it."""
    for number, scene in enumerate(demo_scenes(count)):
        scene.draw(random.Random(number), size).save(folder / f"{number:04}.png")
    return folder


def copy_database(database: Path, target: Path) -> Path:
    """Copy an embedded database that no process has open, vectors and all; returns the copy."""
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(database, target)
    shutil.copytree(f"{database}-vectors", f"{target}-vectors")
    return target


def row(
    path: str, vector: Sequence[float] | np.ndarray, digest: str | None = None, **facts: object
) -> Row:
    """A row; without `digest` no other path has the same one."""
    values = {"digest": digest or f"d{path}", "size": 1, "mtime_ns": 2**60 + 1, "format": "PNG"}
    values |= {"width": 3, "height": 4, "taken_at": 0, "imported_at": 5} | facts
    return Row(id=row_id(path), path=path, vector=np.asarray(vector, np.float32), **values)
