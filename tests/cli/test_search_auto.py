"""`clipstack search --min-score auto`: what is there is found, what is not is not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from clipstack.scenes import demo_scenes
from tests.material import copy_database
from tests.running import Cli


@pytest.fixture(scope="module")
def starless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with 200 scenes, none of which shows a star or anything purple."""
    folder = tmp_path_factory.mktemp("starless")
    (folder / "pictures").mkdir()
    scenes = [one for one in demo_scenes(400) if one.shape != "star" and one.colour != "purple"]
    for number, scene in enumerate(scenes[:200]):
        picture = scene.draw(random.Random(number), 64)
        picture.save(folder / "pictures" / f"{scene.name}.png")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("data", "config", "cache"):
            patch.setenv(f"CLIPSTACK_{kind.upper()}_DIR", str(folder))
        for name, metric in (("images", "COSINE"), ("distances", "L2")):
            made = ("-m", "shapes", "-c", name, "--metric", metric)
            assert Cli()("import", folder / "pictures", *made).code == 0
    return folder


@pytest.fixture
def pictures(starless: Path, tmp_path: Path) -> Path:
    """The pictures, and a copy of their database where the commands of this test find it."""
    copy_database(starless / "clipstack.db", tmp_path / "data" / "clipstack.db")
    return starless / "pictures"


@pytest.mark.parametrize("collection", ["images", "distances"])
def test_what_is_there_is_found(cli: Cli, pictures: Path, collection: str) -> None:
    for words, part in (("a heart", "heart"), ("a red circle", "red"), ("on black", "on-black")):
        ran = cli("search", words, "--min-score", "auto", "-c", collection, mode="json")
        hits = ran.json["hits"]
        assert hits, words
        assert all(hit["stands_out"] > 0 for hit in hits)
        assert all(part in Path(hit["path"]).name for hit in hits[:3])
        ordered = [hit["stands_out"] for hit in hits]
        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("collection", ["images", "distances"])
@pytest.mark.parametrize("words", ["a star", "purple", "a purple heart"])
def test_what_is_not_there_is_not_found(
    cli: Cli, pictures: Path, words: str, collection: str
) -> None:
    ran = cli("search", words, "--min-score", "auto", "-c", collection)
    assert (ran.code, ran.out) == (0, "")
    assert f'Nothing here stands out for "{words}".' in ran.err
    assert cli("search", words, "-c", collection, mode="quiet").out, "without auto there are hits"
    assert cli("search", words, "--min-score", "auto", mode="json").json["hits"] == []


@pytest.mark.parametrize("prompt", ["photo", "ensemble"])
def test_in_a_prompt_it_is_told_apart_too(cli: Cli, pictures: Path, prompt: str) -> None:
    line = ("--min-score", "auto", "--prompt", prompt)
    assert cli("search", "heart", *line, mode="json").json["hits"]
    assert cli("search", "star", *line, mode="json").json["hits"] == []


def test_a_picture_that_is_there(cli: Cli, pictures: Path) -> None:
    picture = sorted(pictures.iterdir())[7]
    hits = cli("search", "--image", picture, "--min-score", "auto", mode="json").json["hits"]
    assert hits[0]["path"] == str(picture)


def test_auto_leaves_out_but_changes_nothing_else(cli: Cli, pictures: Path) -> None:
    every = cli("search", "a heart", "-k", "100", mode="json").json["hits"]
    kept = cli("search", "a heart", "-k", "100", "--min-score", "auto", mode="json").json["hits"]
    assert 0 < len(kept) < len(every)
    assert [hit["path"] for hit in kept] == [hit["path"] for hit in every[: len(kept)]]
    assert [hit["score"] for hit in kept] == [hit["score"] for hit in every[: len(kept)]]
    few = cli("search", "a heart", "-k", "3", "--min-score", "auto", mode="json").json["hits"]
    assert few == kept[:3]


def test_the_column_is_there_where_it_was_asked_for(cli: Cli, pictures: Path) -> None:
    assert "stands out" not in cli("search", "a heart", mode="human").text
    assert "stands out" in cli("search", "a heart", "--min-score", "auto", mode="human").text
    verbose = cli("search", "a star", "-v", mode="human")
    assert "stands out" in verbose.text
    plain = cli("search", "a heart", "--min-score", "auto").out.splitlines()
    assert all(line.split("\t")[4].startswith("+") for line in plain)
    hits = cli("search", "a star", mode="json").json["hits"]
    assert {hit["stands_out"] for hit in hits} == {None}
    hits = cli("search", "a star", "-v", mode="json").json["hits"]
    assert hits
    assert all(hit["stands_out"] <= 0 for hit in hits)


def test_too_few_pictures_to_tell(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for picture in sorted(pictures.iterdir())[:5]:
        shutil.copy(picture, few)
    assert cli("import", few, "-m", "shapes", "-c", "few").code == 0
    ran = cli("search", "a star", "--min-score", "auto", "-c", "few")
    assert ran.code == 0
    assert "Too few pictures" in ran.err
    assert len(ran.out.splitlines()) == 5


def test_under_a_folder_is_compared_with_that_folder(cli: Cli, pictures: Path) -> None:
    ran = cli("search", "a heart", "--under", pictures, "--min-score", "auto", mode="json")
    assert ran.json["hits"]
    none = cli("search", "a heart", "--under", pictures / "nowhere", "--min-score", "auto")
    assert (none.code, none.out) == (0, "")


def test_neither_a_number_nor_auto(cli: Cli, pictures: Path) -> None:
    ran = cli("search", "a heart", "--min-score", "some")
    assert ran.code == 2
    assert "--min-score auto" in ran.err
