"""Access control: no other site, no other host name; from other machines a token is needed."""

from __future__ import annotations

import http.server
import threading
from functools import partial

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.pages import PageServer, Workspace, run_page, search, send_raw


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_another_site_is_refused(
    client: httpx.Client, server: PageServer, headers: dict[str, str]
) -> None:
    id = search(client).json()["hits"][0]["id"]
    for method, path in (
        *(("GET", "/"), ("GET", "/about"), ("POST", "/search"), ("POST", "/query-pictures")),
        *(("GET", f"/pictures/images/{id}/small"), ("GET", "/assets/main.js")),
    ):
        response = client.request(method, path, headers=headers)
        assert response.status_code == 403, path
        assert server.has_logged("another site")


def test_a_link_from_another_site_may_open_the_page(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    headers["Sec-Fetch-Dest"] = "document"
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/about", headers=headers).status_code == 403


def test_a_page_of_another_site_gets_nothing(
    visit, client: httpx.Client, server: PageServer, tmp_path
) -> None:
    id = search(client).json()["hits"][0]["id"]
    (tmp_path / "index.html").write_text(
        f"""<img src="{server.base_url}/pictures/images/{id}/small" onerror="this.id='refused'">
        <iframe src="{server.base_url}/"></iframe>
        <script>
        const options = {{method: "POST", mode: "no-cors", body: "{{}}"}};
        fetch("{server.base_url}/search", options).catch(() => 0);
        fetch("{server.base_url}/about").catch(() => document.body.append("closed"));
        </script>"""
    )
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other_site:
        threading.Thread(target=other_site.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{other_site.server_port}/", expect_errors=True)
        expect(page.locator("#refused")).to_be_attached()
        expect(page.locator("body")).to_contain_text("closed")
        assert page.frames[1].locator("#words").count() == 0
        other_site.shutdown()
    assert "refused POST /search from 127.0.0.1: 403" in server.log


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1.evil.example:{port}",
        "user@127.0.0.1:{port}",
        "[::1",
        "",
    ],
)
def test_another_host_is_refused(server: PageServer, host: str) -> None:
    line = f"GET /about HTTP/1.1\r\nHost: {host.format(port=server.port)}\r\n"
    response = send_raw(server, f"{line}Connection: close\r\n\r\n".encode())
    assert response.split(b" ", 2)[1] in (b"421", b"400")
    assert b"collections" not in response


def test_other_machines_need_a_token(workspace: Workspace) -> None:
    with run_page(workspace, "--host", "0.0.0.0") as server:
        token = server.url.partition("#token=")[2]
        assert len(token) >= 32
        with httpx.Client(base_url=server.base_url) as client:
            assert client.get("/").status_code == 200
            assert client.get("/about").status_code == 401
            assert search(client).status_code == 401
            assert client.post("/query-pictures", content=b"x").status_code == 401
            assert client.post("/session", json={"token": "x" * 32}).status_code == 403
            assert client.post("/session", json={"token": 7}).status_code == 403
            assert client.get("/about").status_code == 401
            assert client.post("/session", json={"token": token}).status_code == 204
            assert search(client).status_code == 200
            query = {"terms": [{"kind": "url", "value": "http://127.0.0.1:1/x.png"}]}
            assert client.post("/search", json=query).status_code == 403
        assert token not in server.log
