"""500 random filters, and those of the documentation, find the same rows on this machine and on a
real Milvus."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipstack.errors import UsageError
from clipstack.index.base import Collection
from clipstack.index.filters.parse import parse
from clipstack.index.filters.syntax import Expression
from clipstack.index.local.index import LocalIndex
from clipstack.index.milvus.index import MilvusIndex
from tests.documented_filters import EXAMPLES
from tests.filters_and_rows import DIMENSION, filters, is_true, rows
from tests.material import Model
from tests.stack.stacks import Stack, compose_up, removed

ROWS = rows(200, seed=20)
FILTERS = [
    *filters(500, seed=21, infix=False),
    *(text for text in EXAMPLES if "%Rome%" not in text),
]
UNKNOWN_TO_2_3 = ('path like "%IMG%"', 'camera like "%EOS%"', 'not (title like "a%b")')


@pytest.fixture(scope="module")
def milvus(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("equivalence")
    with removed(Stack(folder, "clipstack-test-equivalence")) as stack:
        compose_up(stack, "etcd", "minio", "milvus")
        yield stack


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    folder: Path = tmp_path_factory.mktemp("local")
    with LocalIndex(folder / "clipstack.db", wait=10, create=True) as index:
        index.create("same", Model(dimension=DIMENSION), "COSINE")
        collection = index.collection("same")
        collection.upsert(ROWS)
        yield collection


@pytest.fixture(scope="module")
def there(milvus: Stack) -> Iterator[Collection]:
    with MilvusIndex(f"http://127.0.0.1:{milvus.port('MILVUS')}", wait=60) as index:
        index.create("same", Model(dimension=DIMENSION), "COSINE")
        collection = index.collection("same")
        collection.upsert(ROWS)
        yield collection


def matching_ids(collection: Collection, filter: Expression) -> list[str]:
    batches = collection.rows(filter=filter)
    return sorted(row.id for row in itertools.chain.from_iterable(batches))


def test_the_same_rows(here: Collection, there: Collection) -> None:
    some = 0
    trees = [parse(text) for text in FILTERS]
    with ThreadPoolExecutor(8) as pool:  # Milvus lets each wait for what was written last
        answers = list(pool.map(lambda filter: matching_ids(there, filter), trees))
    for text, filter, answer in zip(FILTERS, trees, answers, strict=True):
        expected = sorted(row.id for row in ROWS if is_true(filter, row))
        assert matching_ids(here, filter) == expected, text
        assert answer == expected, text
        some += 0 < len(expected) < len(ROWS)
    assert some > 200


def test_what_2_3_can_not_do_it_refuses(here: Collection, there: Collection) -> None:
    for text in UNKNOWN_TO_2_3:
        filter = parse(text)
        assert matching_ids(here, filter) == sorted(
            row.id for row in ROWS if is_true(filter, row)
        ), text
        with pytest.raises(UsageError, match="does not take the filter: unsupported pattern"):
            matching_ids(there, filter)
