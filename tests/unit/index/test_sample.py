"""A sample of a collection, chosen by the rows' ids."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from clipstack.index import collections
from clipstack.index.database import Database
from clipstack.index.schema import ID_LENGTH, CollectionInfo, Row, row_id
from clipstack.index.store import Store

ROWS = 3000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Database(tmp_path_factory.mktemp("sample") / "sample.db", wait=0) as database:
        info = CollectionInfo("some", "m", "", "f00d", 2, "COSINE")
        made = Store(database.client, collections.create(database.client, "some", info, "COSINE"))
        made.add([_row(number) for number in range(ROWS)])
        yield made


def _row(number: int) -> Row:
    """The vector says which it is; those of one folder follow each other."""
    path = f"/{number // 500}/{number}"
    vector = np.array([number, 1], np.float32)
    facts = {"digest": "d", "size": 1, "mtime_ns": 1, "width": number, "height": 1}
    facts |= {"format": "PNG", "taken_at": 0, "imported_at": 0}
    return Row(id=row_id(path), path=path, vector=vector, **facts)


def test_a_sample_is_of_the_size_asked_for_and_from_everywhere(store: Store) -> None:
    assert len(row_id("/")) == ID_LENGTH
    assert store.count() == ROWS
    for count in (100, 1000):
        sample = store.sample(count, rows=ROWS)
        assert sample.dtype == np.float32
        assert 0.8 * count <= len(sample) <= count
        assert len(np.unique(sample[:, 0])) == len(sample)
        folders = np.bincount(sample[:, 0].astype(int) // 500, minlength=6)
        assert folders.min() > 0.4 * count / 6
        assert np.array_equal(sample, store.sample(count, rows=ROWS)), "the same every time"


def test_all_rows_where_there_are_no_more(store: Store) -> None:
    assert len(store.sample(ROWS, rows=ROWS)) == ROWS
    assert len(store.sample(5000, rows=ROWS)) == ROWS


def test_a_sample_of_what_a_filter_lets_through(store: Store) -> None:
    few = "width < 400 or width >= 2900"
    assert store.count(few) == 500
    sample = store.sample(200, rows=500, expression=few)
    assert 150 <= len(sample) <= 200
    assert ((sample[:, 0] < 400) | (sample[:, 0] >= 2900)).all()
    assert store.count("width < 0") == 0
    assert store.sample(10, rows=0, expression="width < 0").shape == (0, 2)
