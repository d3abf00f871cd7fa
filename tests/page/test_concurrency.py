"""The page while other processes write, and several searches at the same time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipstack.scenes import demo_scenes
from tests.page.pages import PageServer, Workspace, run_page, search

FEW = 40


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A page on 40 pictures, whose database the tests change."""
    workspace = Workspace(tmp_path_factory.mktemp("together"))
    draw(workspace.pictures / "first", range(FEW))
    assert import_(workspace, "images", "first").code == 0
    with run_page(workspace) as server:
        yield server


@pytest.fixture
def page(own_server: PageServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_server.base_url, timeout=60) as client:
        yield client


def draw(folder: Path, numbers: range) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        scene = demo_scenes(numbers.stop)[number]
        scene.draw(random.Random(number), 64).save(folder / f"{number:03}.png")


def import_(workspace: Workspace, collection: str, folder: str, *options: str) -> Any:
    pictures = workspace.pictures / folder
    return workspace.clipstack("import", pictures, "-m", "shapes", "-c", collection, "-q", *options)


def names(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [hit["name"] for hit in response.json()["hits"]]


def test_an_import_while_the_page_is_open(own_server: PageServer, page: httpx.Client) -> None:
    assert len(names(search(page, limit=500))) == FEW
    draw(own_server.workspace.pictures / "second", range(FEW, 2 * FEW))
    assert import_(own_server.workspace, "images", "second", "--wait", "0").code == 0
    assert len(names(search(page, limit=500))) == 2 * FEW


def test_collections_come_and_go(own_server: PageServer, page: httpx.Client) -> None:
    def collections() -> dict[str, int]:
        return {c["name"]: c["rows"] for c in page.get("/about").json()["collections"]}

    def other(limit: int = 500) -> httpx.Response:
        return search(page, collection="other", limit=limit)

    assert other().status_code == 404
    assert import_(own_server.workspace, "other", "first").code == 0
    assert collections()["other"] == FEW
    assert len(names(other())) == FEW
    id = other(1).json()["hits"][0]["id"]
    assert page.get(f"/pictures/other/{id}").status_code == 200

    assert own_server.workspace.clipstack("collections", "rename", "other", "renamed").code == 0
    assert "other" not in collections()
    assert other().status_code == 404
    assert page.get(f"/pictures/other/{id}").status_code == 404
    assert page.get(f"/pictures/renamed/{id}").status_code == 200

    draw(own_server.workspace.pictures / "third", range(2 * FEW, 2 * FEW + 5))
    assert import_(own_server.workspace, "other", "third").code == 0
    assert len(names(other())) == 5, "not the collection that had this name before"
    assert own_server.workspace.clipstack("collections", "drop", "other", "--yes").code == 0
    assert import_(own_server.workspace, "other", "first").code == 0
    assert len(names(other())) == FEW, "dropped and created again between two searches"
    assert own_server.workspace.clipstack("collections", "drop", "other", "--yes").code == 0
    assert other().status_code == 404


def test_concurrent_searches_give_what_each_gives_alone(client: httpx.Client) -> None:
    """So do errors."""
    queries: list[dict[str, Any]] = [
        {"terms": [{"kind": "text", "value": f"a {colour} {shape}"}], "limit": limit}
        for colour in ("red", "blue", "green")
        for shape in ("star", "circle")
        for limit in (3, 10)
    ]
    queries += [query | {"filters": {"format": "JPEG"}} for query in queries[:4]]
    queries += [query | {"collection": "few"} for query in queries[:4]]
    queries += [query | {"offset": 5} for query in queries[:2]]
    queries.append(queries[0] | {"min_score": "auto"})
    queries.append(queries[0] | {"terms": [{"kind": "id", "value": "0" * 32}]})
    queries.append(queries[0] | {"collection": "nowhere"})
    queries.append(queries[0] | {"filters": {"filter": "width >"}})
    alone = [_outcome(client, query) for query in queries]
    assert sum(status != 200 for status, _ in alone) == 3
    with ThreadPoolExecutor(len(queries)) as threads:
        for _ in range(3):
            assert list(threads.map(lambda query: _outcome(client, query), queries)) == alone


def _outcome(client: httpx.Client, query: dict[str, Any]) -> tuple[int, object]:
    response = client.post("/search", json=query)
    hits = response.json().get("hits", [])
    return response.status_code, [
        (hit["id"], pytest.approx(hit["score"], abs=1e-4)) for hit in hits
    ]
