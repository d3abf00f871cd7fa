"""`clipstack search --image URL`: what is fetched, and what is refused."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clipstack.errors import ClipstackError, ExitCode
from clipstack.search import url_fetch
from tests.running import Cli

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A server on this machine with an answer for each path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answers[self.path](self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def gives(
        self, path: str, body: bytes = b"", status: int = 200, length: bool = True, **headers: str
    ) -> str:
        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name.replace("_", "-"), value)
            if length:
                request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer
        return self.url + path


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def picture(gallery: Path) -> Path:
    return sorted(gallery.glob("*.png"))[5]


def test_a_picture_from_the_web(cli: Cli, imported: Path, site: Site, picture: Path) -> None:
    there = site.gives("/a.png", picture.read_bytes())
    url = site.gives("/moved", status=302, Location=there)
    for args in (["--image", url], ["--and", url]):
        found = cli("search", *args, mode="json").json
        assert found["hits"][0]["path"] == str(picture)
        assert found["query"]["terms"] == [{"url": url, "weight": 1.0}]


def test_a_line_of_many_queries(cli: Cli, imported: Path, site: Site, picture: Path) -> None:
    there = site.gives("/a.png", picture.read_bytes())
    gone = site.gives("/gone.png", status=410)
    ran = cli("search", "--queries", "-", "-k", "1", stdin=f"{there}\n{gone}\n".encode())
    assert ran.code == ExitCode.PARTIAL
    found, missing = (json.loads(line) for line in ran.out.splitlines())
    assert found["hits"][0]["path"] == str(picture)
    assert missing["error"]["name"] == "not_found"


def test_secrets_of_a_url_are_not_shown(
    cli: Cli, imported: Path, site: Site, picture: Path
) -> None:
    site.gives("/a.png", picture.read_bytes())
    site.gives("/gone.png", status=404)
    known = site.url.replace("http://", "http://me:hush@")
    assert "hush" not in cli("search", "--image", f"{known}/a.png", mode="json").out
    ran = cli("search", "--image", f"{known}/gone.png")
    assert "hush" not in ran.err
    assert f"{site.url}/gone.png" in ran.err


def refused(cli: Cli, url: str, code: ExitCode, said: str) -> None:
    ran = cli("search", "--image", url)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert "Traceback" not in ran.err


def test_what_is_no_picture(cli: Cli, imported: Path, site: Site) -> None:
    refused(cli, site.gives("/none", status=404), ExitCode.NOT_FOUND, "there is nothing")
    refused(cli, site.gives("/no", status=403), ExitCode.FAILED, "answered 403 Forbidden")
    refused(cli, site.gives("/empty"), ExitCode.FAILED, "0 bytes")
    page = site.gives("/page", b"<html>", Content_Type="text/html; charset=utf-8")
    refused(cli, page, ExitCode.FAILED, "it is a web page")
    refused(cli, site.gives("/broken", b"\x89PNG\r\n\x1a\nx"), ExitCode.FAILED, "/broken")
    refused(cli, site.gives("/text", b"just words"), ExitCode.FAILED, "/text")


def test_no_server(cli: Cli, imported: Path) -> None:
    refused(cli, "http://127.0.0.1:1/a.png", ExitCode.UNREACHABLE, "no answer")
    refused(cli, "http://", ExitCode.USAGE, "not the URL of a picture")


def test_redirects_end(cli: Cli, imported: Path, site: Site) -> None:
    loop = site.gives("/loop", status=302, Location=site.url + "/loop")
    refused(cli, loop, ExitCode.FAILED, "redirects")
    file = site.gives("/file", status=302, Location="file:///etc/passwd")
    refused(cli, file, ExitCode.USAGE, "not the URL of a picture")


def test_too_much(cli: Cli, imported: Path, site: Site) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(bytes(2**20))

    def quiet(request: BaseHTTPRequestHandler) -> None:
        try:
            endless(request)
        except OSError:
            request.close_connection = True

    site.answers["/endless"] = quiet
    with pytest.raises(ClipstackError, match="too large"):
        url_fetch.fetch(site.url + "/endless", max_bytes=2**22)
    site.gives("/long", b"", length=False, Content_Length="99999999999")
    with pytest.raises(ClipstackError, match="too large"):
        url_fetch.fetch(site.url + "/long")
    packed = site.gives("/packed", gzip.compress(bytes(2**20)), Content_Encoding="gzip")
    refused(cli, packed, ExitCode.FAILED, "compressed")


def test_too_slow(site: Site) -> None:
    def drips(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            request.close_connection = True

    site.answers["/drips"] = drips
    with pytest.raises(ClipstackError, match="no answer in time") as late:
        url_fetch.fetch(site.url + "/drips", seconds=0.5)
    assert late.value.code == ExitCode.UNREACHABLE
