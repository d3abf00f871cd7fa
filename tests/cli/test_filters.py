"""Filters of `clipstack search`: each finds exactly the pictures that are so, and no others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clipstack.search.geo import distance
from tests.album import Photo, make_album
from tests.material import copy_database
from tests.running import Cli

FILTERS: dict[str, tuple[tuple[str, ...], Callable[[Photo], bool]]] = {
    "since": (("--since", "2022"), lambda p: taken(p) >= datetime(2022, 1, 1, tzinfo=UTC)),
    "until": (
        ("--until", "2021-03"),
        lambda p: p.taken is not None and p.taken < datetime(2021, 4, 1, tzinfo=UTC),
    ),
    "one year": (
        ("--since", "2021", "--until", "2021"),
        lambda p: p.taken is not None and p.taken.year == 2021,
    ),
    "one minute": (
        ("--since", "2020-01-01T12:30", "--until", "2020-01-01 13:30+01:00"),
        lambda p: p.taken == datetime(2020, 1, 1, 12, 30, tzinfo=UTC),
    ),
    "camera": (("--camera", "nikon"), lambda p: p.camera == "NIKON D750"),
    "camera, words": (("--camera", "EOS canon"), lambda p: p.camera == "Canon EOS 5D"),
    "format": (("--format", "png"), lambda p: p.kind == "PNG"),
    "format, extension": (("--format", ".jpg"), lambda p: p.kind == "JPEG"),
    "min width": (("--min-width", "97"), lambda p: p.pixels > 96),
    "min height": (("--min-height", "96"), lambda p: p.pixels >= 96),
    "tag": (("--tag", "HOLIDAY"), lambda p: bool({"Holiday", "holiday"} & set(p.keywords))),
    "two tags": (("--tag", "holiday", "--tag", "füsse"), lambda p: "Füße" in p.keywords),
    "near": (("--near", "48.137,11.575,5"), lambda p: within(p, 48.137, 11.575, 5)),
    "near, farther": (("--near", "48.137, 11.575, 16"), lambda p: within(p, 48.137, 11.575, 16)),
    "near, date line": (("--near", "-17.8,-179.99,12"), lambda p: within(p, -17.8, -179.99, 12)),
    "near, pole": (("--near", "90,0,20"), lambda p: within(p, 90, 0, 20)),
    "filter": (
        ("--filter", 'width == 96 and (format == "PNG" or camera like "Apple%")'),
        lambda p: p.pixels == 96 and (p.kind == "PNG" or p.camera.startswith("Apple")),
    ),
    "filter with not and exists": (
        ("--filter", "exists lat and not (width == 96)"),
        lambda p: p.place is not None and p.pixels != 96,
    ),
    "filter that would open another": (
        ("--filter", "width > 0 or height > 0", "--min-width", "128"),
        lambda p: p.pixels == 128,
    ),
    "all at once": (
        (
            *("--since", "2020", "--camera", "d750", "--min-width", "64", "--near", "0,0,30000"),
            *("--filter", "size > 0"),
        ),
        lambda p: p.camera == "NIKON D750" and p.place is not None,
    ),
}


def taken(photo: Photo) -> datetime:
    return photo.taken or datetime(1970, 1, 1, tzinfo=UTC)


def within(photo: Photo, lat: float, lon: float, km: float) -> bool:
    return photo.place is not None and distance(lat, lon, *photo.place) <= km


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    return make_album(tmp_path_factory.mktemp("album"))


@pytest.fixture(scope="module")
def database(photos: list[Photo], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported-album")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("data", "config", "cache"):
            patch.setenv(f"CLIPSTACK_{kind.upper()}_DIR", str(folder))
        ran = Cli()("import", photos[0].path.parent, "--model", "shapes")
        assert ran.code == 0, ran.err
    return folder / "clipstack.db"


@pytest.fixture(autouse=True)
def album(database: Path, tmp_path: Path) -> None:
    copy_database(database, tmp_path / "data" / "clipstack.db")


def found(cli: Cli, *args: object) -> list[Path]:
    ran = cli("search", "star", "-q", *args)
    assert ran.code == 0, ran.err
    return [Path(line) for line in ran.out.splitlines()]


@pytest.mark.parametrize("name", FILTERS)
def test_exactly_what_fits(name: str, cli: Cli, photos: list[Photo]) -> None:
    options, fits = FILTERS[name]
    expected = sorted(photo.path for photo in photos if fits(photo))
    assert 0 < len(expected) < len(photos)
    hits = found(cli, "-k", "70", *options)
    assert sorted(hits) == expected  # precision and recall 1
    few = found(cli, "-k", "2", *options)
    assert few == hits[:2], "what is left out must not cost a hit"


def test_the_filter_leaves_the_ranking_as_it_is(cli: Cli, photos: list[Photo]) -> None:
    holidays = {photo.path: photo.scene for photo in photos if "Holiday" in photo.keywords}
    stars = sum(scene.matches(shape="star") for scene in holidays.values())
    hits = found(cli, "-k", stars, "--tag", "holiday", "--tag", "füße")
    assert stars >= 2
    assert all(holidays[hit].matches(shape="star") for hit in hits)  # precision 1


def test_a_hit_says_what_is_known_of_it(cli: Cli, photos: list[Photo]) -> None:
    photo = photos[0]
    hits = cli("search", "--image", photo.path, "-k", "1", mode="json").json["hits"]
    facts = hits[0]["facts"]
    assert hits[0]["path"] == str(photo.path)
    assert facts["camera"] == photo.camera
    assert facts["keywords"] == list(photo.keywords)
    assert photo.place
    assert (facts["lat"], facts["lon"]) == pytest.approx(photo.place, abs=1e-5)
    silent = cli("search", "--image", photos[3].path, "-k", "1", mode="json").json["hits"][0]
    assert silent["facts"] == {}


@pytest.mark.parametrize(
    ("option", "value", "place", "why"),
    [
        ("--since", "2024-13", 5, "no month 13"),
        ("--since", "2024-02-30", 8, "no day 30"),
        ("--until", "2024-05-01T25:00", 11, "no hour 25"),
        ("--until", "yesterday", 0, "2024-05"),
        ("--near", "48.1,11.5", 9, "three numbers"),
        ("--near", "48.1,190,5", 5, "longitude"),
        ("--near", "48.1,x,5", 5, "'x' is no number"),
        ("--near", "48.1,11,0", 8, "radius"),
        ("--format", "doc", 0, "no such format"),
        ("--filter", "widht > 300", 0, "Did you mean width?"),
        ("--filter", "width > 300 and (path == 'x'", 28, "`)` is missing"),
        ("--filter", "width = 300", 6, "Write == for equal"),
        ("--filter", "width > 300 @ 9", 12, "`@` means nothing"),
        ("--filter", "日 > 3", 0, "means nothing"),
        ("--filter", 'path == "日本" and x', 17, "no field 'x'"),
        ("--filter", "width > 3) or (width > 4", 9, "`)` where"),
    ],
)
def test_a_bad_filter_points_at_the_place(
    option: str, value: str, place: int, why: str, cli: Cli
) -> None:
    ran = cli("search", "star", option, value)
    assert ran.code == 2, ran.err
    assert why in ran.err
    lines = ran.err.splitlines()
    under = lines.index(f"  {value}") + 1
    wide = sum(char in "日本" for char in value[:place])
    assert lines[under] == " " * (2 + place + wide) + "^"


def test_other_bad_filters(cli: Cli) -> None:
    for options, why in (
        (("--since", "2024", "--until", "2023"), "--until 2023 is before --since 2024"),
        (("--tag", " "), "the tag is empty"),
        (("--camera", "?!"), "no word"),
        (("--min-width", "0"), "min-width"),
    ):
        ran = cli("search", "star", *options)
        assert (ran.code, why in ran.err) == (2, True), ran.err


def test_a_value_can_not_leave_its_quotes(cli: Cli) -> None:
    for text in ('"', "\\", '" or width > 0 or path == "', "a\\", "%"):
        assert found(cli, "--tag", text) == []
    assert found(cli, "--camera", 'nikon" or width > 0') == []


def test_nothing_fits(cli: Cli) -> None:
    ran = cli("search", "star", "--since", "2030")
    assert (ran.code, ran.out) == (0, "")
    assert "No picture fits." in ran.err


def test_json_says_the_filter(cli: Cli) -> None:
    options = ("--min-width", "96", "--filter", 'camera like "Apple%"', "--tag", 'a"b')
    query = cli("search", "star", *options, mode="json").json["query"]
    wanted = '(camera like "Apple%" and width >= 96 and json_contains(labels, "a\\"b"))'
    assert query["filter"] == wanted
    assert cli("search", "star", mode="json").json["query"]["filter"] == ""
    assert cli("search", "star", "--filter", wanted).code == 0


def test_no_picture_is_so_large(cli: Cli) -> None:
    assert found(cli, "--min-width", 10**30) == []
    assert found(cli, "--min-height", 2**63) == []
