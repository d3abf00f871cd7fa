"""`clipstack show`: what the index knows of one picture, and what has become of its file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clipstack.units import format_bytes
from tests.running import Cli


@pytest.fixture
def mine(cli: Cli, gallery: Path, tmp_path: Path) -> Path:
    """A picture of this test's own, imported."""
    folder = tmp_path / "mine"
    folder.mkdir()
    picture = folder / "a.png"
    shutil.copy(sorted(gallery.glob("*.png"))[0], picture)
    assert cli("import", folder, "-m", "shapes").code == 0
    return picture


def test_by_path_and_by_id(cli: Cli, imported: Path, gallery: Path) -> None:
    picture = sorted(gallery.glob("*.png"))[4]
    by_path = cli("show", picture, mode="json").json
    assert by_path["path"] == str(picture)
    assert (by_path["width"], by_path["height"], by_path["format"]) == (64, 64, "PNG")
    assert by_path["size"] == picture.stat().st_size
    assert by_path["mtime_ns"] == picture.stat().st_mtime_ns
    assert by_path["file"] == "as imported"
    assert by_path["collection"] == "images"
    assert len(by_path["digest"]) == 32
    assert "vector" not in by_path
    assert cli("show", by_path["id"], mode="json").json == by_path


def test_by_a_relative_path_and_through_a_link(
    cli: Cli, imported: Path, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = sorted(gallery.glob("*.png"))[4]
    monkeypatch.chdir(gallery)
    assert cli("show", picture.name, mode="quiet").out.strip() == str(picture)
    (tmp_path / "link").symlink_to(picture)
    assert cli("show", tmp_path / "link", mode="quiet").out.strip() == str(picture)


def test_not_there(cli: Cli, imported: Path, tmp_path: Path) -> None:
    for what in (tmp_path / "none.png", "0" * 32, "nonsense"):
        ran = cli("show", what)
        assert ran.code == 6
        assert "no picture in collection 'images'" in ran.err
    assert cli("show", "x.png", "-c", "nowhere").code == 6


def test_changed_touched_and_vanished(
    cli: Cli, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("show", mine, mode="json").json["file"] == "as imported"
    os.utime(mine, (1, 1))
    assert cli("show", mine, mode="json").json["file"] == "as imported", "only its time changed"
    data = bytearray(mine.read_bytes())
    data[-20] ^= 1
    mine.write_bytes(data)
    assert cli("show", mine, mode="json").json["file"] == "changed since"
    mine.unlink()
    ran = cli("show", mine)
    assert ran.code == 0, "the index still knows it"
    assert "file\tvanished since" in ran.out.splitlines()
    monkeypatch.setenv("CLIPSTACK_PREVIEW", "kitty")
    ran = cli("show", mine, mode="human")
    assert ran.code == 0
    assert "vanished" in ran.err


def test_for_people(cli: Cli, mine: Path) -> None:
    text = cli("show", mine, mode="human").text
    assert f"as imported, {format_bytes(mine.stat().st_size)} PNG, 64x64 pixels" in text
    assert "imported 20" in text
    assert "taken" not in text, "it is not known"
