"""`clipstack search`: what is found, how it is shown, what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.running import Cli


def test_a_picture_finds_itself_first(cli: Cli, imported: Path, gallery: Path) -> None:
    picture = sorted(gallery.glob("*.png"))[5]
    hits = cli("search", "--image", picture, mode="json").json["hits"]
    assert hits[0]["path"] == str(picture)
    assert hits[0]["score"] == pytest.approx(1, abs=1e-5)
    assert (hits[0]["width"], hits[0]["height"], hits[0]["format"]) == (64, 64, "PNG")
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit["rank"] for hit in hits] == list(range(1, 11))


def test_words_need_no_quotes(cli: Cli, imported: Path) -> None:
    together = cli("search", "two red stars", mode="json").json
    apart = cli("search", "two", "red", "stars", mode="json").json
    assert together["hits"] == apart["hits"]
    assert together["query"]["terms"] == [{"text": "two red stars", "weight": 1.0}]


def test_k_limits_the_hits(cli: Cli, imported: Path) -> None:
    assert len(cli("search", "star", "-k", "3", mode="quiet").out.splitlines()) == 3
    assert len(cli("search", "star", "-k", "16384", mode="quiet").out.splitlines()) == 40


def test_under_a_folder(cli: Cli, imported: Path, gallery: Path) -> None:
    found = cli("search", "star", "-k", "40", "--under", gallery / "more", mode="quiet").out
    assert sorted(map(Path, found.splitlines())) == sorted((gallery / "more").iterdir())
    none = cli("search", "star", "--under", gallery / "mor")
    assert (none.code, none.out) == (0, "")
    assert "No picture fits." in none.err


def test_min_score_keeps_the_better(cli: Cli, imported: Path) -> None:
    every = cli("search", "star", "-k", "40", mode="json").json["hits"]
    middle = every[19]["score"]
    kept = cli("search", "star", "-k", "40", "--min-score", middle, mode="json").json["hits"]
    assert kept == every[:20]
    l2 = ("search", "star", "-k", "40", "-c", "distances")
    every = cli(*l2, mode="json").json["hits"]
    kept = cli(*l2, "--min-score", every[19]["score"], mode="json").json["hits"]
    assert kept == every[:20]


def test_l2_prints_the_lines_its_users_know(
    cli: Cli, imported: Path, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(gallery)
    ran = cli("search", "red circle", "-k", "4", "-c", "distances")
    assert "Using L2 (Euclidean distance) for search..." in ran.err.splitlines()
    assert "lower is better" in ran.err
    lines = ran.out.splitlines()
    assert all(re.fullmatch(r"ID: [\w/-]+\.png, Score: \d+\.\d\d", line) for line in lines)
    scores = [float(line.rpartition(" ")[2]) for line in lines]
    assert scores == sorted(scores)


def test_the_answer_names_its_target_first(cli: Cli, imported: Path) -> None:
    first = cli("search", "star").err.splitlines()[0]
    assert first == f"embedded: {imported}, collection images"


def test_paths_are_hyperlinks_on_a_terminal(cli: Cli, imported: Path, gallery: Path) -> None:
    ran = cli("search", "star", "-k", "1", mode="human")
    assert f";{gallery.as_uri()}" in ran.out


def test_nul_ends_paths(cli: Cli, imported: Path) -> None:
    for args in (["-0"], ["--null", "--quiet"]):
        out = cli("search", "star", "-k", "3", *args).out
        assert out.count("\0") == 3
        assert "\n" not in out


def test_empty_query(cli: Cli, imported: Path) -> None:
    for words in ([], [""], ["  "]):
        ran = cli("search", *words)
        assert ran.code == 2
        assert "nothing to search for" in ran.err


def test_text_and_images_at_once(cli: Cli, imported: Path, gallery: Path) -> None:
    files = sorted(gallery.glob("*.png"))[:2]
    ran = cli("search", "star", "--image", files[0], "-i", files[1], mode="json")
    assert ran.json["query"]["terms"] == [
        {"text": "star", "weight": 1.0},
        {"image": str(files[0]), "weight": 1.0},
        {"image": str(files[1]), "weight": 1.0},
    ]
    both = ("search", "star", "--and", files[0], "--and", files[1])
    assert cli(*both, mode="json").json["hits"] == ran.json["hits"]


@pytest.mark.parametrize("k", ["0", "-1", "16385", "x"])
def test_impossible_k(cli: Cli, imported: Path, k: str) -> None:
    ran = cli("search", "star", "-k", k)
    assert ran.code == 2
    assert "Error: " in ran.err


def test_missing_collection(cli: Cli, imported: Path) -> None:
    ran = cli("search", "star", "-c", "nowhere")
    assert ran.code == 6
    assert "there is no collection 'nowhere'" in ran.err
    assert "There is: distances, images." in ran.err


def test_missing_database_is_not_made(cli: Cli, tmp_path: Path) -> None:
    assert cli("search", "star").code == 6
    assert cli("collections", "list", mode="json").json == []
    assert not (tmp_path / "data" / "clipstack.db").exists()


def test_empty_collection(cli: Cli, imported: Path) -> None:
    cli("collections", "create", "hollow", "-m", "shapes")
    ran = cli("search", "star", "-c", "hollow")
    assert ran.code == 1
    assert "'hollow' is empty" in ran.err


def test_unreadable_query_pictures(cli: Cli, imported: Path, tmp_path: Path) -> None:
    assert cli("search", "--image", tmp_path / "none.png").code == 6
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much")
    ran = cli("search", "--image", tmp_path / "broken.png")
    assert ran.code == 1
    assert "broken.png" in ran.err


def test_a_model_in_a_folder(
    cli: Cli, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipstack.encoders.models import catalog

    other = tmp_path / "mine"
    shutil.copytree(catalog.resolve("shapes", download=False).path, other)
    here = Path.cwd()
    monkeypatch.chdir(tmp_path)
    assert cli("import", gallery, "-m", "./mine").code == 0
    monkeypatch.chdir(here)
    assert cli("search", "star").code == 0, "the folder is remembered, not how it was named"
    shutil.rmtree(other)
    ran = cli("search", "star")
    assert ran.code == 6
    assert str(other) in ran.err
