"""The page beside other processes, and many who search at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipstack.scenes import demo_scenes
from tests.page.pages import Served, World, ask, serving

FEW = 40


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page on 40 pictures, whose database the tests change."""
    world = World(tmp_path_factory.mktemp("together"))
    draw(world.pictures / "first", range(FEW))
    assert import_(world, "images", "first").code == 0
    with serving(world) as served:
        yield served


@pytest.fixture
def page(own: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own.base, timeout=60) as client:
        yield client


def draw(folder: Path, numbers: range) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        scene = demo_scenes(numbers.stop)[number]
        scene.draw(random.Random(number), 64).save(folder / f"{number:03}.png")


def import_(world: World, collection: str, folder: str, *more: str) -> Any:
    pictures = world.pictures / folder
    return world.clipstack("import", pictures, "-m", "shapes", "-c", collection, "-q", *more)


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["name"] for hit in answer.json()["hits"]]


def test_an_import_beside_the_open_page(own: Served, page: httpx.Client) -> None:
    assert len(names(ask(page, limit=500))) == FEW
    draw(own.world.pictures / "second", range(FEW, 2 * FEW))
    assert import_(own.world, "images", "second", "--wait", "0").code == 0
    assert len(names(ask(page, limit=500))) == 2 * FEW


def test_collections_come_and_go(own: Served, page: httpx.Client) -> None:
    def collections() -> dict[str, int]:
        return {one["name"]: one["rows"] for one in page.get("/about").json()["collections"]}

    def other(limit: int = 500) -> httpx.Response:
        return ask(page, collection="other", limit=limit)

    assert other().status_code == 404
    assert import_(own.world, "other", "first").code == 0
    assert collections()["other"] == FEW
    assert len(names(other())) == FEW
    id = other(1).json()["hits"][0]["id"]
    assert page.get(f"/pictures/other/{id}").status_code == 200

    assert own.world.clipstack("collections", "rename", "other", "renamed").code == 0
    assert "other" not in collections()
    assert other().status_code == 404
    assert page.get(f"/pictures/other/{id}").status_code == 404
    assert page.get(f"/pictures/renamed/{id}").status_code == 200

    draw(own.world.pictures / "third", range(2 * FEW, 2 * FEW + 5))
    assert import_(own.world, "other", "third").code == 0
    assert len(names(other())) == 5, "not what was called so before"
    assert own.world.clipstack("collections", "drop", "other", "--yes").code == 0
    assert import_(own.world, "other", "first").code == 0
    assert len(names(other())) == FEW, "dropped and made again between two searches"
    assert own.world.clipstack("collections", "drop", "other", "--yes").code == 0
    assert other().status_code == 404


def test_everyone_gets_their_own_answer(client: httpx.Client) -> None:
    """Asked at once, queries give what they give when each is asked alone; errors too."""
    asked: list[dict[str, Any]] = [
        {"terms": [{"kind": "text", "value": f"a {colour} {shape}"}], "limit": limit}
        for colour in ("red", "blue", "green")
        for shape in ("star", "circle")
        for limit in (3, 10)
    ]
    asked += [one | {"filters": {"format": "JPEG"}} for one in asked[:4]]
    asked += [one | {"collection": "few"} for one in asked[:4]]
    asked += [one | {"offset": 5} for one in asked[:2]]
    asked.append(asked[0] | {"min_score": "auto"})
    asked.append(asked[0] | {"terms": [{"kind": "id", "value": "0" * 32}]})
    asked.append(asked[0] | {"collection": "nowhere"})
    asked.append(asked[0] | {"filters": {"expr": "width >"}})
    alone = [_answer(client, one) for one in asked]
    assert sum(status != 200 for status, _ in alone) == 3
    with ThreadPoolExecutor(len(asked)) as threads:
        for _ in range(3):
            assert list(threads.map(lambda one: _answer(client, one), asked)) == alone


def _answer(client: httpx.Client, asked: dict[str, Any]) -> tuple[int, object]:
    answer = client.post("/search", json=asked)
    hits = answer.json().get("hits", [])
    return answer.status_code, [(hit["id"], pytest.approx(hit["score"], abs=1e-4)) for hit in hits]
