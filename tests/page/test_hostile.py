"""Hostile requests: refused and logged; nothing is served that is not a row."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from tests.page.browsing import drop, search_for
from tests.page.pages import PageServer, Workspace, search, send_raw

SECRET = "not a picture of the collection"


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../../../etc/passwd",
        "/assets/../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/application.py",
        "/assets//etc/passwd",
        "/pictures/images/..%2f..%2fetc%2fpasswd/small",
        "/pictures/images//etc/passwd",
        "/pictures/images/%2fetc%2fpasswd/large",
        "/pictures/..%2f..%2f/x/small",
        "/pictures/images/{id}/..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(client: httpx.Client, server: PageServer, path: str) -> None:
    id = search(client).json()["hits"][0]["id"]
    line = f"GET {path.format(id=id)} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    response = send_raw(server, f"{line}Connection: close\r\n\r\n".encode())
    assert response.split(b" ", 2)[1] == b"404"
    assert b"root:" not in response
    assert b"import" not in response
    assert server.has_logged("404")


@pytest.mark.parametrize(
    "id", ["0" * 32, "x", "A" * 32, "0" * 33, '" or id != "', "'; drop", "💥", "%00"]
)
def test_an_id_that_does_not_exist(client: httpx.Client, server: PageServer, id: str) -> None:
    for kind in ("", "/small", "/large"):
        response = client.get(f"/pictures/images/{id}{kind}")
        assert response.status_code == 404
        assert server.has_logged("404")
    terms = {"terms": [{"kind": "id", "value": id}]}
    assert client.post("/search", json=terms).status_code in (400, 404)


def test_a_collection_that_does_not_exist(client: httpx.Client) -> None:
    id = search(client).json()["hits"][0]["id"]
    for name in ("other", "..", '"', "x" * 5000):
        assert client.get(f"/pictures/{name}/{id}/small").status_code == 404
    assert search(client, collection="other").status_code == 404
    assert client.get(f"/pictures/few/{id}").status_code in (200, 404)


def test_a_row_of_another_collection_is_not_found_in_this_one(client: httpx.Client) -> None:
    images = {hit["id"] for hit in search(client, limit=500).json()["hits"]}
    few = {hit["id"] for hit in search(client, limit=500, collection="few").json()["hits"]}
    id = min(images - few)
    assert client.get(f"/pictures/images/{id}/small").status_code == 200
    assert client.get(f"/pictures/few/{id}/small").status_code == 404


@pytest.mark.parametrize("path", ["/query-pictures", "/search", "/session"])
def test_ten_gigabytes_announced(server: PageServer, path: str) -> None:
    size = 10 * 2**30
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {size}\r\n\r\n"
    )
    response = send_raw(server, head.encode())
    assert response.split(b" ", 2)[1] == b"413"
    assert b"connection: close" in response.lower()
    assert server.has_logged("413")


def test_ten_gigabytes_in_chunks(server: PageServer) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    head = f"POST /query-pictures HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    sent, most = 0, before
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            while sent < 10 << 30:
                connection.sendall(chunk)
                sent += 1 << 20
                most = max(most, process.memory_info().rss)
        except OSError:
            pass
    assert sent < 256 << 20
    assert most - before < 400 << 20
    assert server.has_logged("413")


def bomb(edge: int = 60_000) -> bytes:
    """A PNG of some kilobytes whose header claims `edge` x `edge` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_an_upload_that_is_a_decompression_bomb(
    visit, server: PageServer, client: httpx.Client, tmp_path: Path
) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    response = client.post("/query-pictures", content=bomb())
    assert response.status_code == 413
    assert process.memory_info().rss - before < 200 << 20
    assert server.has_logged("413")
    file = tmp_path / "bomb.png"
    file.write_bytes(bomb())
    page = visit(expect_errors=True)
    drop(page, file)
    expect(page.locator("#problem")).to_contain_text("60000 x 60000 pixels, the limit is")
    assert search_for(page, "a star")
    expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", b"%PDF-1.7", bytes(1000)])
def test_an_upload_that_is_not_a_picture(client: httpx.Client, data: bytes) -> None:
    assert client.post("/query-pictures", content=data).status_code in (400, 415, 422)


def test_a_query_picture_that_was_not_uploaded(client: httpx.Client) -> None:
    terms = {"terms": [{"kind": "picture", "value": "0" * 32}]}
    assert client.post("/search", json=terms).status_code == 410


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"{",
        b"[]",
        b'{"terms": {}}',
        b'{"terms": [1]}',
        b'{"terms": [{"kind": "image", "value": "/etc/passwd"}]}',
        b'{"terms": [{"kind": "text", "value": "x", "weight": 1e999}]}',
        b'{"terms": [{"kind": "text", "value": "x", "weight": true}]}',
        b'{"terms": [{"kind": "text", "value": "\\ud800"}]}',
        b'{"terms": [{"kind": "text", "value": "x"}], "limit": 100000}',
        b'{"terms": [{"kind": "text", "value": "x"}], "offset": -1}',
        b'{"terms": [{"kind": "text", "value": "x"}], "filters": {"filter": "path in [\\"x\\""}}',
        b'{"terms": []}',
        b"[" * 100_000,
    ],
)
def test_an_invalid_query(client: httpx.Client, query: bytes) -> None:
    response = client.post("/search", content=query, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]


def _row(client: httpx.Client, workspace: Workspace, name: str) -> tuple[str, Path]:
    hits = search(client, limit=500).json()["hits"]
    hit = next(hit for hit in hits if hit["name"].startswith(name))
    return hit["id"], Path(hit["path"])


@pytest.fixture
def row(workspace: Workspace, client: httpx.Client) -> Iterator[tuple[str, Path, bytes]]:
    """A row's id, its file and the file's bytes; the file is restored afterwards."""
    hit = search(client, limit=500).json()["hits"][-1]
    path = Path(hit["path"])
    data, facts = path.read_bytes(), path.stat()
    yield hit["id"], path, data
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen before"])
@pytest.mark.parametrize(
    ("change", "status"),
    [("link", 409), ("secret", 409), ("other", 409), ("gone", 404), ("pipe", 422), ("folder", 422)],
)
def test_a_file_that_is_not_what_was_imported(
    client: httpx.Client,
    server: PageServer,
    row,
    change: str,
    status: int,
    seen: bool,
    tmp_path: Path,
) -> None:
    id, path, data = row
    url = f"/pictures/images/{id}/{'small' if seen else 'large'}"
    if seen:
        assert client.get(url).status_code == 200
    path.unlink()
    secret = tmp_path / "secret.png"
    secret.write_bytes(data + b"\0")
    if change == "link":
        path.symlink_to(secret)
    elif change == "secret":
        path.symlink_to("/etc/passwd")
    elif change == "other":
        path.write_bytes(data + b"\0")
    elif change == "pipe":
        os.mkfifo(path)
    elif change == "folder":
        path.mkdir()
    response = client.get(url)
    if change == "folder":
        path.rmdir()
    assert response.status_code in (status, 409)
    assert response.headers["content-type"] == "application/json"
    assert server.has_logged(str(response.status_code))


def test_a_link_to_the_same_picture_is_served(client: httpx.Client, row, tmp_path: Path) -> None:
    id, path, data = row
    facts = path.stat()
    same = tmp_path / path.name
    same.write_bytes(data)
    os.utime(same, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    path.unlink()
    path.symlink_to(same)
    assert client.get(f"/pictures/images/{id}/small").status_code == 200


def test_every_response_has_the_security_headers(client: httpx.Client) -> None:
    id = search(client).json()["hits"][0]["id"]
    for path in ("/", "/assets/main.js", "/about", "/nothing", f"/pictures/images/{id}/small"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_only_gets_and_the_three_posts(client: httpx.Client) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert client.request(method, "/search").status_code == 405
    assert client.get("/search").status_code == 405


def test_pictures_are_reencoded(client: httpx.Client) -> None:
    from PIL import Image

    id = search(client).json()["hits"][0]["id"]
    for kind in ("small", "large"):
        response = client.get(f"/pictures/images/{id}/{kind}")
        assert response.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(response.content)).format == "WEBP"


def test_nothing_is_written_but_thumbnails(client: httpx.Client, server: PageServer) -> None:
    def listing() -> dict[str, int]:
        folder = server.workspace.folder
        files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".log"]
        times = {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in files}
        return {n: t for n, t in times.items() if not n.startswith(("data/", "cache/thumbnails/"))}

    search(client)
    before = listing()
    hits = search(client, "a cross", limit=20).json()["hits"]
    for hit in hits:
        assert client.get(f"/pictures/images/{hit['id']}/small").status_code == 200
    picture = Path(hits[0]["path"]).read_bytes()
    assert client.post("/query-pictures", content=picture).status_code == 200
    assert listing() == before
