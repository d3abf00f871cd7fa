"""`search --html` and `--open`: one page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.running import Cli

HOSTILE = [
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "' onmouseover='alert(1).png",
    "new\nline & tab\t.png",
    "100% #1?.png",
    "é日本\u202e.png",
    "javascript:alert(1).png",
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.source = file.read_text("utf-8")
        self._open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "tags are closed in order"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> list[Image.Image]:
        pictures = []
        for image in self.all("img"):
            head, data = image["src"].split(",", 1)
            assert head == "data:image/webp;base64"
            pictures.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
        return pictures

    def links(self) -> list[str]:
        """Where its links lead, as paths."""
        paths = []
        for link in self.all("a"):
            parts = urlsplit(link["href"])
            assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
            paths.append(os.fsdecode(unquote(parts.path, errors="surrogateescape")))
        return paths


def test_what_is_on_the_page(cli: Cli, imported: Path, gallery: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.html"
    ran = cli("search", "red", "star", "-k", "7", "--html", file)
    assert ran.code == 0
    assert f"Wrote {file}" in ran.err
    hits = cli("search", "red star", "-k", "7", mode="json").json["hits"]
    page = Page(file)
    assert page.texts["h1"] == ["red star"]
    assert f"clipstack search red star -k 7 --html {file}" in page.texts["code"]
    assert any("embedded, collection images" in text for text in page.texts["p"])
    paths = [hit["path"] for hit in hits]
    assert page.links() == [path for path in paths for _ in range(2)]
    pictures = page.pictures()
    assert len(pictures) == 7
    for path, picture in zip(paths, pictures, strict=True):
        original = np.asarray(Image.open(path).convert("RGB"), int)
        assert np.abs(np.asarray(picture.convert("RGB"), int) - original).mean() < 6
    captions = [text for text in page.texts["figcaption"] if text.startswith(" · ")]
    assert captions == [f" · {hit['score']:.4f} · {hit['width']}x{hit['height']}" for hit in hits]


def test_it_needs_nothing_but_itself(cli: Cli, imported: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.html"
    cli("search", "star", "--html", file)
    page = Page(file)
    used = {tag for tag, _ in page.elements}
    assert used.isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form"})
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = page.texts["style"][0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "light dark" in style
    assert "url(" not in style
    assert all("alt" in image for image in page.all("img"))
    assert page.all("html") == [{"lang": "en"}]


def test_hostile_names(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    pictures = sorted(gallery.glob("*.png"))
    for name, picture in zip([*HOSTILE, os.fsdecode(b"latin\xe9.png")], pictures, strict=False):
        if "/" in name:
            name = name.replace("/", "\u2044")
        shutil.copy(picture, mine / name)
    cli("import", mine, "-m", "shapes")
    file = tmp_path / "hits.html"
    query = "<b>star</b> & \"more\" 'stars'"
    assert cli("search", query, "--html", file).code == 0
    page = Page(file)
    assert page.texts["h1"] == [query]
    assert {tag for tag, _ in page.elements} == {
        *("html", "head", "meta", "title", "style", "body", "header", "h1", "p", "code", "time"),
        *("main", "ol", "li", "figure", "a", "img", "figcaption", "b", "span"),
    }
    there = {str(path) for path in mine.iterdir()}
    stored = {hit["path"] for hit in cli("search", "star", mode="json").json["hits"]}
    assert set(page.links()) == there & stored
    assert len(there & stored) >= 7
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    assert "\n" not in "".join(image["alt"] for image in page.all("img"))
    assert "\u202e" not in page.source, "no mark that turns the text around"


def test_a_picture_that_is_gone_is_named_as_such(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(gallery / "more", mine)
    cli("import", mine, "-m", "shapes")
    sorted(mine.iterdir())[0].unlink()
    file = tmp_path / "hits.html"
    assert cli("search", "star", "--html", file).code == 0
    page = Page(file)
    assert len(page.pictures()) == 9
    assert page.texts["div"] == ["vanished"]


def test_no_hits(cli: Cli, imported: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.html"
    assert cli("search", "star", "--under", tmp_path, "--html", file).code == 0
    assert Page(file).texts["li"] == ["No picture fits."]


def test_no_password_on_the_page(
    cli: Cli, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipstack.cli import picture_options

    assert picture_options._PASSWORD.sub("", "--encoder-url http://me:secret@host:3000/x") == (
        "--encoder-url http://host:3000/x"
    )


@pytest.mark.parametrize("where", ["none/hits.html", ".", "a-file/hits.html"])
def test_an_unwritable_file_is_reported_before_searching(
    where: str, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    ran = cli("search", "star", "--html", tmp_path / where)
    assert ran.code == 2, "there is no collection either, which would be 6"
    assert "can't be written" in ran.err


def test_the_page_there_stays_whole(cli: Cli, imported: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.html"
    cli("search", "star", "--html", file)
    before = file.read_text()
    assert cli("search", "star", "-c", "nowhere", "--html", file).code == 6
    assert file.read_text() == before
    assert [path.name for path in tmp_path.glob("*.html*")] == ["hits.html"]


def test_open(cli: Cli, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "hits.html"
    assert cli("search", "star", "--html", file, "--open").code == 0
    assert (tmp_path / "opened").read_text().strip() == file.as_uri()
    ran = cli("search", "star", "--open")
    page = Path(re.search(r"Wrote (.*)", ran.err)[1])  # type: ignore[index]
    assert (tmp_path / "opened").read_text().strip() == page.as_uri()
    assert page.stat().st_mode & 0o077 == 0
    assert len(Page(page).pictures()) == 10
    shutil.rmtree(page.parent)
    monkeypatch.delenv("BROWSER")
    ran = cli("search", "star", "--html", file, "--open")
    assert ran.code == 0
    assert "no browser" in ran.err


@pytest.mark.parametrize("mode", ["plain", "json", "quiet"])
def test_stdout_is_as_without(mode: str, cli: Cli, imported: Path, tmp_path: Path) -> None:
    def shown(*args: object) -> str:
        return re.sub(r'"seconds": [\d.]+', "", cli("search", "star", *args, mode=mode).out)

    assert shown("--html", tmp_path / "hits.html") == shown()
