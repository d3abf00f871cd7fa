"""The contract of `Index`, held by a real Milvus server; and what only a server can show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient

from clipstack.errors import ClipstackError
from clipstack.index.base import Index
from clipstack.index.milvus.index import MilvusIndex
from tests.index_contract.catalog import TestCatalog
from tests.index_contract.reading import TestFilled
from tests.index_contract.scores import TestScores
from tests.index_contract.writing import TestWriting
from tests.material import Model
from tests.stack.stacks import Stack

__all__ = ["TestCatalog", "TestFilled", "TestScores", "TestWriting"]

SHARED = "shared"


@pytest.fixture(scope="module")
def uri(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.port('MILVUS')}"


@pytest.fixture(scope="module")
def milvus(uri: str) -> Iterator[MilvusClient]:
    """What another program has: pymilvus' own client."""
    client = MilvusClient(uri)
    yield client
    client.close()


@pytest.fixture(scope="module")
def shared_index(uri: str, milvus: MilvusClient) -> Iterator[Index]:
    """In a database of its own."""
    milvus.create_database(SHARED)
    with MilvusIndex(uri, database=SHARED, wait=60) as opened:
        yield opened
        drop_all(opened)
    milvus.drop_database(SHARED)


@pytest.fixture(scope="module")
def shared_other(uri: str, shared_index: Index) -> Iterator[Index]:
    with MilvusIndex(uri, database=SHARED, wait=60) as opened:
        yield opened


@pytest.fixture
def index(uri: str) -> Iterator[Index]:
    with MilvusIndex(uri, wait=60) as opened:
        assert opened.location == uri
        yield opened
        drop_all(opened)


@pytest.fixture
def other(uri: str, index: Index) -> Iterator[Index]:
    with MilvusIndex(uri, wait=60) as opened:
        yield opened


def drop_all(index: Index) -> None:
    for name in index.names():
        index.drop(name)


def test_a_collection_of_another_program(index: Index, milvus: MilvusClient) -> None:
    milvus.create_collection("theirs", dimension=4)
    assert index.names() == ["theirs"]
    (described,) = index.list()
    assert (described.name, described.info, described.index) == ("theirs", None, None)
    for call in (index.info, index.collection):
        with pytest.raises(ClipstackError, match="not made by clipstack"):
            call("theirs")
    with pytest.raises(ClipstackError, match="already"):
        index.create("theirs", Model(), "COSINE")
    milvus.create_alias("theirs", "alias")
    index.delete_alias("alias", "alias")
    assert not index.exists("alias")


def test_a_database_has_its_own_collections(index: Index, shared_index: Index) -> None:
    index.create("only_here", Model(), "COSINE")
    assert index.names() == ["only_here"]
    assert not shared_index.exists("only_here")
