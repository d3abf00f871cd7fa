"""Every form of a query on a real Milvus server: it finds what the embedded one finds.

Precision at 10, as in tests/cli/test_queries.py, on the same 1000 pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipstack.index.schema import row_id
from clipstack.scenes import Scene
from clipstack.search.query import Query, Term
from clipstack.search.searcher import Searcher, open_searcher
from clipstack.settings import load
from tests import forms
from tests.running import Cli
from tests.stack.stacks import Stack, compose_up, removed

COUNT = 1000


@dataclass(frozen=True)
class World:
    searcher: Searcher
    embedded: Searcher
    scenes: dict[str, Scene]


@pytest.fixture(scope="module")
def world(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("query")
    scenes = forms.draw(folder / "pictures", COUNT)
    with (
        removed(Stack(folder / "stack", "clipstack-query-forms")) as stack,
        pytest.MonkeyPatch.context() as patch,
    ):
        compose_up(stack, "etcd", "minio", "milvus")
        for kind in ("data", "config", "cache"):
            patch.setenv(f"CLIPSTACK_{kind.upper()}_DIR", str(folder / kind))
        args = ("import", folder / "pictures", "--model", "shapes")
        assert Cli()(*args).code == 0
        embedded = load({})
        patch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{stack.port('MILVUS')}")
        ran = Cli()(*args)
        assert ran.code == 0, ran.err
        with open_searcher(load({})) as served, open_searcher(embedded) as other:
            for searcher in (served, other):
                searcher.search(Query((Term("star"),)))  # loads the model from these folders
            yield World(served, other, scenes)


def test_each_form_finds_what_it_means(world: World) -> None:
    scenes = world.scenes
    scores = {
        name: forms.precision(world.searcher, cases, scenes)
        for name, cases in {
            "text": forms.texts(),
            "ensemble": forms.texts("ensemble"),
            "text + text": forms.added(),
            "text - text": forms.subtracted(),
            "text + half a picture": forms.near_a_picture(scenes, 0.5),
            "text + picture": forms.near_a_picture(scenes, 1),
            "said and shown": forms.said_and_shown(scenes),
            "text - picture": forms.without_a_picture(scenes),
            "row + colour": forms.another_colour(scenes),
            "like a row": forms.like(scenes),
        }.items()
    }
    least = {
        "text": 0.98,
        "ensemble": 0.98,
        "text + text": 0.98,
        "text - text": 0.97,
        "text + half a picture": 0.95,
        "text + picture": 0.75,
        "said and shown": 0.88,
        "text - picture": 0.88,
        "row + colour": 0.92,
        "like a row": 0.9,
    }
    assert {name: value for name, value in scores.items() if value < least[name]} == {}, scores


def test_the_same_hits_as_embedded(world: World) -> None:
    path = next(iter(world.scenes))
    mixed = (Term("star"), Term(image=Path(path), weight=0.5), Term("red", weight=-1))
    for query in (
        Query(mixed),
        Query(mixed, offset=7),
        Query((Term(id=row_id(path)), Term("red"))),
        Query(mixed, diverse=True),
        Query(mixed, group_by="folder", offset=1),
        Query(mixed, sort="path", min_score=0.1),
    ):
        served, embedded = world.searcher.search(query), world.embedded.search(query)
        assert served.hits
        for hit, other in zip(served.hits, embedded.hits, strict=True):
            assert hit.score == pytest.approx(other.score, abs=1e-5)
            if query.sort != "path":
                assert hit.id == other.id or hit.score == pytest.approx(other.score, abs=1e-6)
        assert {g.name: g.size for g in served.groups.values()} == {
            g.name: g.size for g in embedded.groups.values()
        }


def test_pages_follow_each_other(world: World) -> None:
    query = (Term("star"), Term("red", weight=-1))
    ask = world.searcher.search
    hits = ask(Query(query), limit=40).hits
    pages = [ask(Query(query, offset=n), limit=10).hits for n in (0, 10, 20, 30)]
    assert [hit.id for page in pages for hit in page] == [hit.id for hit in hits]
    assert len(ask(Query(query, offset=COUNT - 3)).hits) == 3
    assert ask(Query(query, offset=COUNT)).hits == []


def test_what_is_known_of_a_row(world: World) -> None:
    path = next(iter(world.scenes))
    row = world.searcher.collection.row(row_id(path))
    assert row == world.embedded.collection.row(row_id(path)) | {
        "imported_at": row["imported_at"]  # type: ignore[index]
    }
    assert world.searcher.collection.row("f" * 32) is None


def test_many_queries_at_once(world: World) -> None:
    queries = [Query((Term(f"{colour} star"),)) for colour in forms.COLOURS]
    for query, result in zip(queries, world.searcher.search_all(queries), strict=True):
        alone = world.embedded.search(query)
        assert [hit.id for hit in result.hits] == [hit.id for hit in alone.hits]  # type: ignore[union-attr]
