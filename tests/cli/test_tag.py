"""`clipstack tag`: tags of one's own, that are found by and that stay."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.running import Cli


@pytest.fixture
def pictures(gallery: Path, imported: Path) -> list[Path]:
    return sorted(gallery.glob("*.png"))


def tags(cli: Cli, *given: object) -> dict[str, list[str]]:
    ran = cli("tag", *given, mode="json")
    assert ran.code == 0, ran.err
    return {one["path"]: one["tags"] for one in ran.json["pictures"]}


def tagged(cli: Cli, *names: str) -> list[str]:
    options = [part for name in names for part in ("--tag", name)]
    return sorted(cli("search", "star", "-k", "40", "-q", *options).out.splitlines())


def test_added_found_and_taken_away(cli: Cli, pictures: list[Path]) -> None:
    first, second, third = pictures[:3]
    assert cli("tag", first, second, "--add", "Sea  Side", "-a", "dog").code == 0
    assert cli("tag", third, "--add", "DOG").code == 0
    assert tagged(cli, "dog") == [str(first), str(second), str(third)]
    assert tagged(cli, "SEA side", "Dog") == [str(first), str(second)]
    assert cli("tag", first, "--remove", "Dog", "--add", "cat").code == 0
    assert tags(cli, first, second) == {
        str(first): ["Sea Side", "cat"],
        str(second): ["Sea Side", "dog"],
    }
    assert cli("tag", first, "-r", "cat", "-r", "sea side", "-r", "never there").code == 0
    assert tags(cli, first) == {str(first): []}
    assert tagged(cli, "cat") == []


def test_adding_again_changes_nothing(cli: Cli, pictures: list[Path]) -> None:
    assert cli("tag", pictures[0], "--add", "dog", mode="json").json["changed"] == 1
    again = cli("tag", pictures[0], "--add", "Dog", mode="json").json
    assert (again["changed"], again["pictures"][0]["tags"]) == (0, ["dog"])


def test_all_hits_of_a_search(cli: Cli, pictures: list[Path]) -> None:
    for ending, options in (("\n", ["-q"]), ("\0", ["-0"])):
        hits = cli("search", "red circle", "-k", "7", *options).out
        ran = cli("tag", "-", "--add", f"by {ord(ending)}", stdin=hits.encode(), mode="quiet")
        assert ran.out.splitlines() == hits.split(ending)[:-1]
        assert tagged(cli, f"by {ord(ending)}") == sorted(hits.split(ending)[:-1])


def test_a_folder_an_id_and_a_relative_path(
    cli: Cli, pictures: list[Path], gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = cli("search", "--image", pictures[0], "-k", "1", mode="json").json["hits"][0]
    monkeypatch.chdir(gallery)
    ran = cli("tag", "more", hit["id"], pictures[1].name, "--add", "x", mode="json").json
    expected = [*sorted((gallery / "more").iterdir()), *pictures[:2]]
    assert sorted(one["path"] for one in ran["pictures"]) == sorted(map(str, expected))
    assert tagged(cli, "x") == sorted(map(str, expected))


def test_every_tag_there_is(cli: Cli, pictures: list[Path]) -> None:
    assert cli("tag").out == ""
    cli("tag", *pictures[:3], "--add", "Dog")
    cli("tag", pictures[3], "--add", "dog", "--add", "sea")
    assert cli("tag").out == "Dog\t4\nsea\t1\n"
    assert cli("tag", mode="quiet").out == "Dog\nsea\n"
    assert cli("tag", mode="json").json[0] == {"tag": "Dog", "pictures": 4}
    assert "pictures" in cli("tag", mode="human").text


def test_pictures_that_are_not_there(cli: Cli, pictures: list[Path], tmp_path: Path) -> None:
    ran = cli("tag", tmp_path / "none.png", "0" * 32, "--add", "dog")
    assert ran.code == 6
    assert "none.png is not in the collection 'images' nor are 1 more" in ran.err
    partly = cli("tag", pictures[0], tmp_path / "none.png", "--add", "dog")
    assert partly.code == 7
    assert f"not in the collection: {tmp_path}/none.png" in partly.err
    assert tagged(cli, "dog") == [str(pictures[0])]
    assert cli("tag", pictures[0], "-c", "nowhere").code == 6


def test_tags_that_are_none(cli: Cli, pictures: list[Path]) -> None:
    for options, why in (
        (("--add", ""), "the tag is empty"),
        (("--add", "a\x1bb"), "control characters"),
        (("--add", "é" * 51), "at most 100 bytes"),
        (("--add", "dog", "--remove", "Dog"), "at once"),
    ):
        ran = cli("tag", pictures[0], *options)
        assert (ran.code, why in ran.err) == (2, True), ran.err
    many = [part for number in range(101) for part in ("--add", f"tag {number}")]
    assert cli("tag", pictures[0], *many).code == 2
    assert tags(cli, pictures[0]) == {str(pictures[0]): []}
    ran = cli("tag", "--add", "dog")
    assert (ran.code, "which pictures?" in ran.err) == (2, True)


def test_tags_stay_whatever_is_imported_again(cli: Cli, gallery: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(gallery / "more", folder)
    assert cli("import", folder, "-m", "shapes").code == 0
    same, touched, changed, *_ = sorted(folder.iterdir())
    cli("tag", same, touched, changed, "--add", "mine")
    os.utime(touched, ns=(1, 1))
    shutil.copyfile(next(gallery.glob("*.png")), changed)
    counts = cli("import", folder, mode="json").json["counts"]
    assert (counts["changed"], counts["new"]) == (1, 0)
    assert tagged(cli, "mine") == sorted(map(str, (same, touched, changed)))
    assert tags(cli, folder)[str(changed)] == ["mine"]
    renamed = cli("collections", "rename", "images", "others")
    assert renamed.code == 0, renamed.err
    assert tags(cli, same, "-c", "others") == {str(same): ["mine"]}


def test_nothing_else_of_a_row_changes(cli: Cli, pictures: list[Path]) -> None:
    search = ("search", "--image", pictures[4], "-k", "40")
    before = cli(*search, mode="json").json["hits"]
    cli("tag", *pictures, "--add", "x")
    cli("tag", *pictures, "--remove", "x")
    after = cli(*search, mode="json").json["hits"]
    assert after == before
