"""Who is answered: no other site, no other name of this machine; elsewhere a token is needed."""

from __future__ import annotations

import http.server
import threading
from functools import partial

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.pages import Served, World, ask, raw, serving


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
def test_another_site(client: httpx.Client, served: Served, headers: dict[str, str]) -> None:
    id = ask(client).json()["hits"][0]["id"]
    for method, path in (
        *(("GET", "/"), ("GET", "/about"), ("POST", "/search"), ("POST", "/query-pictures")),
        *(("GET", f"/pictures/images/{id}/small"), ("GET", "/assets/main.js")),
    ):
        found = client.request(method, path, headers=headers)
        assert found.status_code == 403, path
        assert served.told("another site")


def test_a_link_from_another_site_may_open_the_page(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    headers["Sec-Fetch-Dest"] = "document"
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/about", headers=headers).status_code == 403


def test_a_page_elsewhere_gets_nothing(
    visit, client: httpx.Client, served: Served, tmp_path
) -> None:
    id = ask(client).json()["hits"][0]["id"]
    (tmp_path / "index.html").write_text(
        f"""<img src="{served.base}/pictures/images/{id}/small" onerror="this.id='refused'">
        <iframe src="{served.base}/"></iframe>
        <script>
        const asked = {{method: "POST", mode: "no-cors", body: "{{}}"}};
        fetch("{served.base}/search", asked).catch(() => 0);
        fetch("{served.base}/about").catch(() => document.body.append("closed"));
        </script>"""
    )
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{evil.server_port}/", expect_faults=True)
        expect(page.locator("#refused")).to_be_attached()
        expect(page.locator("body")).to_contain_text("closed")
        assert page.frames[1].locator("#words").count() == 0
        evil.shutdown()
    assert "refused POST /search from 127.0.0.1: 403" in served.log


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
def test_another_host(served: Served, host: str) -> None:
    line = f"GET /about HTTP/1.1\r\nHost: {host.format(port=served.port)}\r\n"
    found = raw(served, f"{line}Connection: close\r\n\r\n".encode())
    assert found.split(b" ", 2)[1] in (b"421", b"400")
    assert b"collections" not in found


def test_elsewhere_needs_a_token(world: World) -> None:
    with serving(world, "--host", "0.0.0.0") as served:
        token = served.url.partition("#token=")[2]
        assert len(token) >= 32
        with httpx.Client(base_url=served.base) as client:
            assert client.get("/").status_code == 200
            assert client.get("/about").status_code == 401
            assert ask(client).status_code == 401
            assert client.post("/query-pictures", content=b"x").status_code == 401
            assert client.post("/session", json={"token": "x" * 32}).status_code == 403
            assert client.post("/session", json={"token": 7}).status_code == 403
            assert client.get("/about").status_code == 401
            assert client.post("/session", json={"token": token}).status_code == 204
            assert ask(client).status_code == 200
            url = {"terms": [{"kind": "url", "value": "http://127.0.0.1:1/x.png"}]}
            assert client.post("/search", json=url).status_code == 403
        assert token not in served.log
