"""The search page on a real Milvus server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import Cli
from tests.stack.stacks import Stack, compose_up, removed

MILVUS = "CLIPSTACK_MILVUS_URI"


@pytest.fixture(scope="module")
def server(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server."""
    folder = tmp_path_factory.mktemp("page-stack")
    with removed(Stack(folder, "clipstack-page")) as stack:
        compose_up(stack, "etcd", "minio", "milvus")
        yield f"http://127.0.0.1:{stack.port('MILVUS')}"


def test_the_page_on_a_server(
    server: str, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.page.pages import Workspace, run_page

    workspace = Workspace(tmp_path)
    monkeypatch.setenv(MILVUS, server)
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLIPSTACK_{name}_DIR", str(tmp_path / name.lower()))
    for collection, folder in (("images", gallery), ("more", gallery / "more")):
        ran = Cli()("import", folder, "--model", "shapes", "-c", collection)
        assert ran.code == 0, ran.err
    with (
        run_page(workspace, variables={MILVUS: server}) as page_server,
        httpx.Client(base_url=page_server.base_url, timeout=60) as client,
    ):
        about = client.get("/about").json()
        assert {entry["name"]: entry["rows"] for entry in about["collections"]} == {
            "images": 40,
            "more": 10,
        }
        for collection, count in (("images", 40), ("more", 10), ("images", 40)):
            question = {
                "collection": collection,
                "terms": [{"kind": "text", "value": "a star"}],
                "limit": 100,
            }
            response = client.post("/search", json=question)
            assert response.status_code == 200, response.text
            hits = response.json()["hits"]
            assert len(hits) == count
            page = client.post("/search", json=question | {"limit": 4, "offset": 4}).json()
            assert [hit["id"] for hit in page["hits"]] == [hit["id"] for hit in hits[4:8]]
            path = f"/pictures/{collection}/{hits[0]['id']}"
            assert client.get(f"{path}/small").headers["content-type"] == "image/webp"
            assert dict(client.get(path).json()["facts"])["Folder"] == hits[0]["folder"]
        assert client.get(f"/pictures/more/{'0' * 32}/small").status_code == 404
        like = {"terms": [{"kind": "id", "value": hits[0]["id"]}], "filters": {"format": "PNG"}}
        assert client.post("/search", json=like).json()["hits"]
