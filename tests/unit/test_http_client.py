"""HTTP clients behind real proxies: what they send by them, and what not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest

from clipstack import http_client
from tests.proxies import VARIABLES, Proxy, recording_proxy


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with "here", or sends elsewhere: the path of the request says where."""

    def do_GET(self) -> None:
        self.send_response(302 if len(self.path) > 1 else 200)
        self.send_header("Content-Length", "4")
        if len(self.path) > 1:
            self.send_header("Location", self.path[1:])
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The address of an HTTP server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that knows where "far.test" is; no variable names it yet."""
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    with recording_proxy({"far.test": server}) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("variable", "scheme", "request_"),
    [
        ("http_proxy", "http", "GET far.test:80"),
        ("HTTP_PROXY", "http", "GET far.test:80"),
        ("ALL_PROXY", "http", "GET far.test:80"),
        ("ALL_PROXY", "socks5", "SOCKS5 far.test:80"),
        ("all_proxy", "socks5h", "SOCKS5 far.test:80"),
    ],
)
def test_others_are_reached_by_the_proxy_and_this_machine_is_not(
    server: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    scheme: str,
    request_: str,
) -> None:
    monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{proxy.port}")
    with http_client.new_client() as client:
        assert client.get(f"http://{server}/").text == "here"
        assert proxy.requests == []
        assert client.get("http://far.test/").text == "here"
        assert proxy.requests == [request_]
        assert client.get(f"http://{server}/").text == "here"
    assert proxy.requests == [request_]


def test_a_redirect_from_elsewhere_to_this_machine(
    server: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    with http_client.new_client(follow_redirects=True) as client:
        assert client.get(f"http://far.test/http://{server}/").text == "here"
        assert proxy.requests == ["GET far.test:80"]
        assert client.get(f"http://{server}/http://far.test/").text == "here"
    assert proxy.requests == ["GET far.test:80"] * 2


def test_what_is_no_http(proxy: Proxy) -> None:
    with http_client.new_client() as client, pytest.raises(httpx.UnsupportedProtocol):
        client.get("ftp://far.test/")
