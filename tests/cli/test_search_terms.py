"""`clipstack search` with several terms, pages, groups and orders: how they are said and shown."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from PIL import Image

from clipstack.index.schema import row_id
from tests.running import Cli


@pytest.fixture
def picture(gallery: Path) -> Path:
    """One of the imported pictures."""
    return sorted(gallery.glob("*.png"))[5]


def test_terms_are_told_apart(
    cli: Cli, imported: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture.parent)
    id = row_id(str(picture))
    said = ["0.5:sunset", "2:text:3:30", picture.name, f"file:{picture.name}", id, f"id:{id}"]
    args = [part for one in said for part in ("--and", one)]
    query = cli("search", "dog", *args, "--not", "1.5:people", mode="json").json["query"]
    assert query["terms"] == [
        {"text": "dog", "weight": 1.0},
        {"text": "sunset", "weight": 0.5},
        {"text": "3:30", "weight": 2.0},
        {"image": picture.name, "weight": 1.0},
        {"image": picture.name, "weight": 1.0},
        {"id": id, "weight": 1.0},
        {"id": id, "weight": 1.0},
        {"text": "people", "weight": -1.5},
    ]


def test_text_that_is_named_like_a_file(cli: Cli, imported: Path, picture: Path) -> None:
    (Path.cwd() / "star").write_bytes(picture.read_bytes())
    as_file = cli("search", "--and", "star", "-k", "1", mode="quiet").out.strip()
    assert as_file == str(picture)
    as_text = cli("search", "--and", "text:star", mode="json").json["hits"]
    assert as_text == cli("search", "star", mode="json").json["hits"]


def test_a_file_where_words_are(cli: Cli, imported: Path, picture: Path) -> None:
    ran = cli("search", picture)
    assert ran.code == 0
    assert f"--image {picture}" in ran.err


@pytest.mark.parametrize("what", ["beach.jpg", "./beach", "/no/where", "my beach.JPEG", "~/beach"])
def test_a_missing_file_is_no_text(cli: Cli, imported: Path, what: str) -> None:
    ran = cli("search", "star", "--not", what)
    assert ran.code == 6
    assert f"{what}: there is no such file" in ran.err
    assert f"text:{what}" in ran.err
    assert cli("search", "star", "--not", f"text:{what}").code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--and", ""], "nothing to search for"),
        (["--and", "text:"], "nothing to search for"),
        (["--and", "0:red"], "a weight is above 0"),
        (["--not", "-1:red"], "a weight is above 0"),
        (["--and", "id:xyz"], "an id is 32 digits"),
        (["star", "--not", "star"], "cancel each other out"),
        (["star", "--prompt", "photo of"], "there is no {} in it"),
        (["star", "--offset", "-1"], "0 or more"),
        (["star", "--offset", "16380"], "the best 16384 hits"),
        (["star", "--sort", "size"], "one of score, date, path"),
        (["star", "--group-by", "year"], "one of folder, day"),
        (["star", "--group-by", "day", "--diverse"], "exclude each other"),
        (["star", "--min-score", "high"], "a number, or auto"),
        (["star", "--min-score", "nan"], "a number, or auto"),
        (["star", "--queries", "x"], "only --and and --not"),
        (["--queries", "-", "--sort", "size"], "one of score, date, path"),
    ],
)
def test_what_makes_no_sense(cli: Cli, imported: Path, args: list[str], said: str) -> None:
    ran = cli("search", *args)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    shown = cli("search", *args, mode="json").json["error"]
    assert said in shown["message"]


def test_like_an_indexed_picture(cli: Cli, imported: Path, picture: Path) -> None:
    by_path = cli("search", "--like", picture, mode="json").json
    other_way = f"{picture.parent}/more/../{picture.name}"
    assert cli("search", "--like", other_way, mode="json").json["hits"] == by_path["hits"]
    by_id = cli("search", "--like", row_id(str(picture)), mode="json").json
    assert by_path["hits"] == by_id["hits"]
    with_it = cli("search", "--image", picture, "-k", "11", mode="json").json["hits"]
    assert [hit["id"] for hit in by_id["hits"]] == [hit["id"] for hit in with_it[1:]]


def test_like_what_is_not_indexed(cli: Cli, imported: Path, tmp_path: Path) -> None:
    for what in ("f" * 32, tmp_path / "other.png"):
        ran = cli("search", "--like", what)
        assert ran.code == 6
        assert f"{what}: collection 'images' has no" in ran.err
        assert "--image FILE" in ran.err


def test_the_next_page(cli: Cli, imported: Path) -> None:
    whole = cli("search", "star", "-k", "9", mode="json").json["hits"]
    pages = [cli("search", "star", "-k", "3", "--offset", n, mode="json").json for n in (0, 3, 6)]
    assert [hit for page in pages for hit in page["hits"]] == whole
    assert [hit["rank"] for hit in pages[1]["hits"]] == [4, 5, 6]
    end = cli("search", "star", "--offset", "40")
    assert (end.code, end.out) == (0, "")
    assert "No more pictures fit." in end.err


def test_several_terms_by_distance(cli: Cli, imported: Path, picture: Path) -> None:
    """L2 compares raw vectors; the sum has the length of its terms, not of a unit."""
    name = picture.stem.split("-")[2]
    args = ("search", name, "--and", picture, "-c", "distances", "-k", "5")
    hits = cli(*args, mode="json").json["hits"]
    assert hits[0]["path"] == str(picture)
    alone = cli("search", "--image", picture, "-c", "distances", mode="json").json["hits"]
    assert hits[0]["score"] < alone[-1]["score"], "of the size that distances there have"
    assert [hit["score"] for hit in hits] == sorted(hit["score"] for hit in hits)


def test_by_path(cli: Cli, imported: Path) -> None:
    best = cli("search", "star", "-k", "7", mode="quiet").out.splitlines()
    ordered = cli("search", "star", "-k", "7", "--sort", "path", mode="quiet").out.splitlines()
    assert ordered == sorted(best) != best


def test_the_best_of_each_folder(cli: Cli, imported: Path, gallery: Path) -> None:
    lines = cli("search", "star", "--group-by", "folder").out.splitlines()
    groups = {line.split("\t")[4]: line.split("\t")[5] for line in lines}
    assert groups == {str(gallery): "30", str(gallery / "more"): "10"}
    l2 = cli("search", "star", "--group-by", "folder", "-c", "distances").out
    assert f", Group: {gallery / 'more'} (10)" in l2


@pytest.fixture
def days(cli: Cli, tmp_path: Path) -> Path:
    """Pictures of stars taken on two days, and one without a date."""
    from clipstack.scenes import demo_scenes

    folder = tmp_path / "days"
    folder.mkdir()
    stars = [scene for scene in demo_scenes(40) if scene.shape == "star"]
    dates = ["2024:05:01 09:00:00", "2024:05:01 23:59:59", "2023:12:24 18:00:00", ""]
    for number, (scene, date) in enumerate(zip(stars, dates, strict=False)):
        exif = Image.Exif()
        if date:
            exif.get_ifd(0x8769)[0x9003] = date
        drawn = scene.draw(random.Random(number), 64)
        drawn.save(folder / f"{number}.jpg", exif=exif, quality=95)
    assert cli("import", folder, "-m", "shapes").code == 0
    return folder


def test_the_best_of_each_day(cli: Cli, days: Path) -> None:
    ran = cli("search", "star", "--group-by", "day", mode="json").json
    groups = {hit["group"]["name"]: hit["group"]["size"] for hit in ran["hits"]}
    assert groups == {"2024-05-01": 2, "2023-12-24": 1, "": 1}
    assert "no date" in cli("search", "star", "--group-by", "day").out


def test_the_newest_first(cli: Cli, days: Path) -> None:
    found = cli("search", "star", "--sort", "date", mode="quiet").out.splitlines()
    assert [Path(path).stem for path in found] == ["1", "0", "2", "3"]


def test_a_varied_choice(cli: Cli, tmp_path: Path) -> None:
    """Of a series of one scene the plain hits have many, the varied ones few, and none is wrong."""
    from clipstack.scenes import demo_scenes

    folder = tmp_path / "series"
    folder.mkdir()
    scenes = demo_scenes(400)
    for number, scene in enumerate(scenes):
        scene.draw(random.Random(number), 64).save(folder / f"{scene.name}.png")
    one = next(scene for scene in scenes if scene.shape == "star")
    for number in range(15):
        one.draw(random.Random(9000 + number), 64).save(folder / f"{one.name}.{number}.png")
    assert cli("import", folder, "-m", "shapes").code == 0

    def repeated(*more: str) -> int:
        ran = cli("search", f"{one.colour} star", *more, mode="quiet")
        names = {Path(path).name for path in ran.out.splitlines()}
        assert len(names) == 10
        assert all(f"-{one.colour}-" in name and "-star-" in name for name in names)
        return sum(name.startswith(one.name) for name in names)

    assert repeated() >= 5
    assert repeated("--diverse") <= 3


def test_many_queries(cli: Cli, imported: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much")
    lines = ["star", "", str(picture), "gone.png", str(tmp_path / "broken.png"), "text:red heart"]
    (tmp_path / "asked.txt").write_text("\n".join(lines))
    ran = cli("search", "--queries", tmp_path / "asked.txt", "-k", "3")
    assert ran.code == 7
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["line"] for one in found] == [1, 3, 4, 5, 6]
    assert [one["input"] for one in found] == [line for line in lines if line]
    assert [len(one.get("hits", ())) for one in found] == [3, 3, 0, 0, 3]
    assert found[2]["error"]["code"] == 6
    assert found[3]["error"]["code"] == 1
    assert "broken.png" in found[3]["error"]["message"]
    assert "2 of 5 queries failed." in ran.err
    for one, args in ((0, ["star"]), (1, ["-i", picture]), (4, ["red", "heart"])):
        alone = cli("search", *args, "-k", "3", mode="json").json
        assert [hit["id"] for hit in found[one]["hits"]] == [hit["id"] for hit in alone["hits"]]
        assert found[one]["query"] == alone["query"]


@pytest.mark.parametrize("mode", ["human", "plain", "json", "quiet"])
def test_many_queries_from_stdin(cli: Cli, imported: Path, mode: str) -> None:
    asked = b"star\nheart\n"
    args = ("search", "--queries", "-", "--not", "red", "-k", "2")
    ran = cli(*args, mode=mode, stdin=asked)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    if mode == "quiet":
        assert len(lines) == 4
        assert ran.err == ""
        return
    found = [json.loads(line) for line in lines]
    assert [one["input"] for one in found] == ["star", "heart"]
    assert found[0]["query"]["terms"][1] == {"text": "red", "weight": -1.0}


def test_more_queries_than_a_batch(cli: Cli, imported: Path) -> None:
    asked = "".join(f"{n} stars\n" for n in range(40))
    ran = cli("search", "--queries", "-", "-k", "1", stdin=asked.encode())
    assert [json.loads(line)["line"] for line in ran.out.splitlines()] == list(range(1, 41))


def test_no_queries(cli: Cli, imported: Path, tmp_path: Path) -> None:
    assert cli("search", "--queries", tmp_path / "none").code == 6
    assert cli("search", "--queries", tmp_path).code == 2
    ran = cli("search", "--queries", os.devnull)
    assert (ran.code, ran.out) == (0, "")
