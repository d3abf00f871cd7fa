"""What tests of exports, imports and copies begin with: varied rows, and databases of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from clipstack.index.base import Index
from clipstack.index.local.index import LocalIndex
from clipstack.index.schema import Row
from tests.material import Model, row

MODEL = Model(dimension=8)
_FACTS = (
    {},
    {"camera": "Google Pixel 8", "lat": -33.856784, "lon": 151.215297, "orientation": 6},
    {"tags": ["Sea Side", "Ütlerei"], "keywords": ["harbour", "日本"]},
    {
        "title": 'say "cheese" \\ done',
        "description": "two\nlines\ttabbed \U0001f436",
        "own": [1, {}],
    },
    {"tags": ["dog"]},
)
_PATHS = (
    "/pictures/{}.jpg",
    '/pictures/with space/{}\'s "best".jpeg',
    "/bilder/Größe/{}/日本.png",
    "/line\nbreak/{}.png",
    "/a" + "/very-long-name" * 270 + "/{}.png",
)
_ODD = (np.float32(-0.0), np.float32(1e-42), np.float32(3.4e38), np.float32(1.1754944e-38))


def varied_rows(count: int, dimension: int = MODEL.dimension, *, start: int = 0) -> list[Row]:
    """Rows with all kinds of paths, facts, tags, numbers and floats, numbered from `start`."""
    vectors = np.random.default_rng(start).standard_normal((count, dimension), np.float32)
    rows = []
    for number, vector in enumerate(vectors, start):
        if number % 3 == 0:
            vector[number % dimension] = _ODD[number % len(_ODD)]
        made = row(
            _PATHS[number % len(_PATHS)].format(number),
            vector,
            f"{number:032x}",
            size=number * 2**33,
            mtime_ns=2**60 + number,
            width=number,
            taken_at=-number * 1000,
            imported_at=1_700_000_000 + number,
            format=("JPEG", "PNG")[number % 2],
            facts=dict(_FACTS[number % len(_FACTS)]),
        )
        rows.append(made)
    return rows


def fill(
    database: Path,
    rows: Sequence[Row],
    name: str = "images",
    *,
    metric: str = "COSINE",
    model: Model = MODEL,
) -> None:
    """Make a collection with these rows."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with LocalIndex(database, wait=10, create=True) as index:
        index.create(name, model, metric)
        if rows:
            index.collection(name).upsert(rows)


def stored(database: Path, name: str = "images") -> dict[str, tuple[object, ...]]:
    """Every field of every row of a collection by id, the vector as its bytes."""
    with LocalIndex(database, wait=10) as index:
        return content(index, name)


def content(index: Index, name: str) -> dict[str, tuple[object, ...]]:
    """Every field of every row of a collection by id, the vector as its bytes."""
    return as_values(row for rows in index.collection(name).rows() for row in rows)


def as_values(rows: Iterable[Row]) -> dict[str, tuple[object, ...]]:
    """Every field of rows by id, the vector as its bytes."""
    names = [field.name for field in fields(Row)]
    plain = (replace(row, vector=row.vector.tobytes()) for row in rows)  # type: ignore[arg-type]
    return {row.id: tuple(getattr(row, name) for name in names) for row in plain}
