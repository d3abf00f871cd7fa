"""Collections on a real Milvus server: indexes, loading, aliases, compaction, large messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from clipstack.errors import ClipstackError
from clipstack.index.milvus import schema
from clipstack.index.milvus.index import MilvusIndex
from clipstack.index.schema import CollectionInfo, row_id
from clipstack.index.vector_index import VectorIndex
from tests.material import Model, draw, row
from tests.running import Cli, Ran
from tests.stack.stacks import Stack

FILES = 40
MODEL = Model(dimension=512)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), FILES, 32)


@pytest.fixture
def uri(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.port('MILVUS')}"


@pytest.fixture
def index(uri: str) -> Iterator[MilvusIndex]:
    """Connected, and without any collection afterwards."""
    with MilvusIndex(uri, wait=60) as opened:
        yield opened
        for name in opened.names():
            opened.drop(name)


@pytest.fixture
def milvus(uri: str) -> Iterator[MilvusClient]:
    """pymilvus' own client, for what clipstack does not do."""
    client = MilvusClient(uri)
    yield client
    client.close()


@pytest.fixture
def on_stack(stack: Stack, index: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line in this process, for the stack."""
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLIPSTACK_TARGET", "stack")
    monkeypatch.setenv("CLIPSTACK_MODEL", "shapes")
    return Cli()


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


@pytest.mark.parametrize(
    ("index_type", "params", "shown"),
    [
        ("AUTOINDEX", "", {}),
        ("HNSW", "M=8,efConstruction=64", {"M": 8, "efConstruction": 64}),
        ("HNSW", "", {"M": 16, "efConstruction": 200}),
        ("IVF_FLAT", "nlist=16", {"nlist": 16}),
        ("FLAT", "", {}),
    ],
)
def test_an_index_is_made_and_searched(
    on_stack: Cli, pictures: Path, index_type: str, params: str, shown: dict[str, int]
) -> None:
    more = ("--index-params", params) if params else ()
    ok(on_stack("import", pictures, "-c", "mine", "--index", index_type, *more))
    facts = ok(on_stack("collections", "show", "mine", mode="json")).json
    assert (facts["index"], facts["index_params"]) == (index_type, shown)
    assert (facts["rows"], facts["state"], facts["aliases"]) == (FILES, "loaded", [])
    hits = ok(on_stack("search", "red circle", "-k", "40", "-c", "mine", mode="json")).json["hits"]
    assert len(hits) == FILES, "also those just written"


def test_search_parameters_reach_a_built_index(index: MilvusIndex, milvus: MilvusClient) -> None:
    index.create("built", MODEL, "COSINE", VectorIndex("HNSW"))
    collection = index.collection("built")
    vectors = np.random.default_rng(3).standard_normal((3000, 512), np.float32)
    collection.upsert([row(f"/{n}", vector) for n, vector in enumerate(vectors)], new=True)
    milvus.flush("built", timeout=120)
    for params in ({}, {"ef": 10}, {"ef": 500}):
        (hits,) = collection.search(vectors[7:8], limit=200, params=params)
        assert len(hits) == 200
        assert hits[0].path == "/7"


@pytest.mark.parametrize("params", ["nlist=0", "nlist=99999999"])
def test_parameters_that_milvus_refuses_leave_nothing(on_stack: Cli, params: str) -> None:
    line = ("collections", "create", "bad", "--index", "IVF_FLAT", "--index-params", params)
    ran = on_stack(*line)
    assert ran.code == 1
    assert "IVF_FLAT with nlist=" in ran.err
    assert "nlist" in ran.err.split(":", 2)[2]
    assert "--index" in ran.err
    assert ok(on_stack("collections", "list", mode="json")).json == []


def test_a_collection_keeps_its_index(on_stack: Cli, pictures: Path) -> None:
    ok(on_stack("collections", "create", "mine", "--index", "HNSW"))
    ran = on_stack("import", pictures, "-c", "mine", "--index", "FLAT")
    assert ran.code == 2
    assert "has the index HNSW" in ran.err


def test_release_and_load(on_stack: Cli, pictures: Path) -> None:
    ok(on_stack("import", pictures, "-c", "mine"))
    released = ok(on_stack("collections", "release", "mine", mode="json")).json
    assert (released["state"], released["rows"]) == ("released", FILES)
    assert "\treleased\t" in ok(on_stack("collections", "list")).out
    ran = ok(on_stack("search", "red circle", "-c", "mine"))
    assert "mine is released; loading it" in ran.err
    assert ok(on_stack("collections", "show", "mine", mode="json")).json["state"] == "loaded"
    ok(on_stack("collections", "release", "mine"))
    assert ok(on_stack("collections", "load", "mine", mode="json")).json["state"] == "loaded"
    ok(on_stack("collections", "release", "mine"))
    assert ok(on_stack("import", pictures, "-c", "mine", mode="json")).json["counts"] == {
        "new": 0,
        "unchanged": FILES,
        "changed": 0,
        "failed": 0,
    }


def test_an_alias_does_for_a_name(on_stack: Cli, pictures: Path) -> None:
    ok(on_stack("import", pictures, "-c", "first"))
    ok(on_stack("collections", "create", "second"))
    shown = ok(on_stack("collections", "alias", "first", "current", mode="json")).json
    assert shown["aliases"] == ["current"]
    assert ok(on_stack("search", "red circle", "-c", "current", "-q")).out
    assert ok(on_stack("collections", "show", "current", mode="json")).json["name"] == "first"
    counts = ok(on_stack("import", pictures, "-c", "current", mode="json")).json["counts"]
    assert counts["unchanged"] == FILES

    moved = ok(on_stack("collections", "alias", "second", "current"))
    assert "meant first before" in moved.err
    counts = ok(on_stack("import", pictures, "-c", "current", mode="json")).json["counts"]
    assert counts["new"] == FILES
    assert "already" in ok(on_stack("collections", "alias", "second", "current")).err

    for line in (["drop", "current", "--yes"], ["rename", "current", "third"]):
        ran = on_stack("collections", *line)
        assert ran.code == 2
        assert "alias of the collection 'second'" in ran.err
    assert on_stack("collections", "alias", "first", "second").code == 1
    assert on_stack("collections", "alias", "nowhere", "x").code == 6
    assert on_stack("collections", "alias", "first", "no-name").code == 2
    assert on_stack("collections", "alias", "first", "current", "--delete").code == 6
    ok(on_stack("collections", "alias", "second", "current", "--delete"))
    assert on_stack("collections", "show", "current").code == 6


def test_drop_and_rename_take_aliases_along(on_stack: Cli, pictures: Path) -> None:
    ok(on_stack("import", pictures, "-c", "first"))
    before = ok(on_stack("search", "red star", "-c", "first", mode="json")).json["hits"]
    ok(on_stack("collections", "alias", "first", "current"))
    renamed = ok(on_stack("collections", "rename", "first", "photos", mode="json")).json
    assert (renamed["name"], renamed["rows"], renamed["aliases"]) == ("photos", FILES, ["current"])
    assert ok(on_stack("search", "red star", "-c", "current", mode="json")).json["hits"] == before
    refused = on_stack("collections", "drop", "photos")
    assert refused.code == 8
    assert f"{FILES} rows and its aliases current" in refused.err
    dropped = ok(on_stack("collections", "drop", "photos", "--yes", mode="json")).json
    assert dropped == {"dropped": "photos", "rows": FILES, "aliases": ["current"]}
    ok(on_stack("import", pictures, "-c", "current"))
    assert ok(on_stack("collections", "show", "current", mode="json")).json["rows"] == FILES


def test_compaction_says_what_it_did(on_stack: Cli, milvus: MilvusClient, pictures: Path) -> None:
    ok(on_stack("import", pictures, "-c", "mine"))
    milvus.flush("mine", timeout=60)
    for picture in pictures.iterdir():
        picture.touch()
    ok(on_stack("import", pictures, "-c", "mine"))
    done = ok(on_stack("collections", "compact", "mine", mode="json")).json
    assert done["finished"]
    assert done["merged"] >= done["into"]
    started = ok(on_stack("collections", "compact", "mine", "--no-wait"))
    assert "finished\tFalse" in started.out
    assert "in the background" in started.err
    assert ok(on_stack("collections", "show", "mine", mode="json")).json["rows"] == FILES


def test_long_paths_and_thousands_of_duplicates_in_one_write(index: MilvusIndex) -> None:
    index.create("long", MODEL, "COSINE")
    collection = index.collection("long")
    vector = np.ones(512, np.float32)
    paths = [f"/{number:05}/".ljust(4095, "é"[0]) for number in range(100)]
    paths = [path.encode()[:4096].decode(errors="ignore") for path in paths]
    copies = [f"/copies/{number}" for number in range(17_000)]
    long = [row(path, vector * n, f"long{n}") for n, path in enumerate(paths, 1)]
    collection.upsert([*long, *(row(path, vector, "same") for path in copies)], new=True)
    assert collection.count() == len(paths) + len(copies)
    assert collection.file_signatures([row_id(paths[0])])[row_id(paths[0])].digest == "long1"
    digests = ["same", "long3", *(f"long{n}" for n in range(90, 101))]
    vectors = collection.vectors_by_digest(digests)
    assert len(vectors) == 13, "rows of one digest leave room for the others"
    assert vectors["long3"].tolist() == (vector * 3).tolist()


def test_a_write_is_split_below_the_limit_of_a_message() -> None:
    vector = np.ones(512, np.float32)
    rows = [row(f"/{n}".ljust(4096, "x"), vector, "d") for n in range(20_000)]
    messages = list(schema.messages(rows))
    assert [row["id"] for message in messages for row in message] == [row.id for row in rows]
    for message in messages:
        assert sum(2048 + 4096 + 200 for _ in message) <= schema.MESSAGE_BYTES


def test_an_import_whose_collection_is_dropped(index: MilvusIndex) -> None:
    index.create("gone", MODEL, "COSINE")
    collection = index.collection("gone")
    index.drop("gone")
    with pytest.raises(ClipstackError, match="not there any more") as error:
        collection.upsert([row("/a", np.ones(512, np.float32), "d")], new=True)
    assert error.value.code == 6


def test_what_a_killed_process_left_half_made_is_finished(
    on_stack: Cli, index: MilvusIndex, milvus: MilvusClient
) -> None:
    from clipstack.encoders.models.catalog import describe, resolve

    model = describe(resolve("shapes", download=False))
    facts = (model.name, model.revision, model.fingerprint, model.dimension, "COSINE")
    milvus.create_collection("half", schema=schema.build(CollectionInfo("half", *facts)))
    assert index.describe("half").index is None
    ok(on_stack("collections", "load", "half"))
    assert ok(on_stack("collections", "show", "half", mode="json")).json["index"] == "AUTOINDEX"


def test_two_imports_at_once_leave_every_picture_once(
    stack: Stack, index: MilvusIndex, pictures: Path
) -> None:
    ok(stack.clipstack("collections", "create", "both", "--target", "stack", "-m", "shapes"))
    line = ("import", pictures, "-c", "both", "--target", "stack", "--batch-size", "8")
    ended: list[Ran] = []
    both = [threading.Thread(target=lambda: ended.append(stack.clipstack(*line))) for _ in "12"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [ran.code for ran in ended] == [0, 0]
    collection = index.collection("both")
    ids = [row.id for batch in collection.rows() for row in batch]
    assert len(ids) == len(set(ids)) == collection.count() == FILES


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["create", "x", "-m", "shapes", "--index", "HNSW"], "only FLAT"),
        (["create", "x", "-m", "shapes", "--index", "IVF_FLAT"], "only FLAT"),
        (["release", "images"], "can't release"),
    ],
)
def test_the_embedded_target_says_what_it_lacks(
    cli: Cli, imported: Path, line: list[str], complaint: str
) -> None:
    ran = cli("collections", *line)
    assert ran.code == 2
    assert complaint in ran.err
    assert "clipstack up" in ran.err
    assert cli("collections", "load", "images").code == 0
    assert cli("collections", "list", mode="quiet").out.split() == ["distances", "images"]
