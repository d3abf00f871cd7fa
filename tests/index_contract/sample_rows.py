"""Rows of all kinds, and what is compared of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clipstack.index.base import MAX_LIMIT, Collection
from clipstack.index.schema import Row
from tests.material import row

MANY = MAX_LIMIT + 600
DIMENSION = 8

FOLDERS = (
    *("/a", "/a b", "/50%", "/un_der", '/q"uote', "/it's", "/back\\slash", "/[x]{y}", "/tab\there"),
    *("/émoji 😀", "/new\nline", "relative"),
)
"""Folders of the first rows of `many_rows`; each has neighbours whose names begin like its own."""

FACTS: tuple[dict[str, Any], ...] = (
    {"camera": "NIKON Z 6", "lens": "50mm f/1.8", "orientation": 6, "lat": -33.5, "lon": 151.25},
    {"title": 'a "quoted" \\ title', "description": "two\nlines, an émoji 😀 and 漢字\u200b"},
    {"tags": ["Mine", "été 2024"], "keywords": ["it's", 'a "b"', "%", "_", ""]},
    {"large": 2**63 - 1, "odd": 2**53 + 1, "low": -(2**63), "negative": -7, "zero": 0},
    {"tenth": 0.1, "tiny": 5e-324, "huge": 1.7e308, "minus": -0.0, "whole": 2.0},
    {"none": None, "yes": True, "no": False, "empty": "", "list": [], "object": {}},
    {"nested": {"a": [1, [2, {"b": None, "ü": [-1.5]}], "c"], "d": {"e": {"f": []}}}},
    {"key with spaces": 1, "schlüssel": "ß", 'quo"te': [True, False]},
)


def many_rows() -> list[Row]:
    """More rows than one search can find, with odd paths, odd vectors and facts of all kinds.

    `width` is a row's number.
    """
    vectors = np.random.default_rng(11).standard_normal((MANY, DIMENSION), np.float32)
    vectors[1] = [12.5, -3.25, -0.0, 0.0, 1e-8, 1e-40, 1 / 3, -1]
    return [_numbered(n, path, vectors[n]) for n, path in zip(range(MANY), _paths(), strict=False)]


def _paths() -> Iterator[str]:
    for folder in FOLDERS:
        yield from (f"{folder}/x.jpg", f"{folder}/deep/y.jpg", f"{folder}x/z.jpg", f"{folder}.jpg")
    yield "/" + "long/é" * 585  # 4096 bytes
    number = 0
    while True:
        yield f"/pictures/{number // 500}/{number}.jpg"
        number += 1


def _numbered(number: int, path: str, vector: np.ndarray) -> Row:
    facts: dict[str, Any] = FACTS[number] if number < len(FACTS) else {}
    if number % 100 == 99:
        facts = {"tags": ["Hundred", f"n{number // 100}"], "camera": "Canon EOS 5D"}
    return row(
        path,
        vector,
        f"digest{number}",
        width=number,
        height=number % 7,
        size=2**40 + number,
        taken_at=-number,
        imported_at=1_700_000_000 + number,
        format="JPEG" if number % 2 else "PNG",
        facts=facts,
    )


def same(got: Row, given: Row) -> bool:
    """Whether two rows are equal to the bit, JSON types and signs of zeros included."""
    return content(got) == content(given)


def content(row: Row) -> tuple[object, ...]:
    """All that a row holds, to be compared."""
    facts = json.dumps(row.facts, sort_keys=True)
    fixed = (row.id, row.path, row.digest, row.size, row.mtime_ns, row.width, row.height)
    dates = (row.format, row.taken_at, row.imported_at)
    return (*fixed, *dates, row.vector.dtype.str, row.vector.tobytes(), facts)


def contents(collection: Collection) -> list[tuple[object, ...]]:
    """All that a collection's rows hold, by id."""
    return [content(row) for batch in collection.rows() for row in batch]


def by_id(rows: Sequence[Row]) -> list[Row]:
    """Rows by ascending id."""
    return sorted(rows, key=lambda row: row.id)
