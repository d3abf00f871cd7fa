"""The filters and tags of tests/cli on a real Milvus 2.3.5."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.album import Photo, make_album
from tests.cli.test_filters import FILTERS
from tests.running import Cli
from tests.stack.stacks import Stack, compose_up, removed
from tests.unit.index.filters.test_parse import GOOD


@pytest.fixture(scope="module")
def milvus(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with removed(Stack(tmp_path_factory.mktemp("filters"), "clipstack-test-filters")) as stack:
        compose_up(stack, "etcd", "minio", "milvus")
        yield stack


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    return make_album(tmp_path_factory.mktemp("album"))


@pytest.fixture(autouse=True)
def at(milvus: Stack, photos: list[Photo], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{milvus.port('MILVUS')}")
    monkeypatch.setenv("CLIPSTACK_MODEL", "shapes")
    ran = cli("import", photos[0].path.parent)
    assert ran.code == 0, ran.err


def matching_paths(cli: Cli, *args: object) -> list[Path]:
    ran = cli("search", "star", "-q", "-k", "70", *args)
    assert ran.code == 0, ran.err
    return sorted(map(Path, ran.out.splitlines()))


def test_exactly_what_fits(cli: Cli, photos: list[Photo]) -> None:
    for name, (options, fits) in FILTERS.items():
        expected = sorted(photo.path for photo in photos if fits(photo))
        assert matching_paths(cli, *options) == expected, name  # precision and recall 1


def test_what_is_called_good_is_taken(cli: Cli, photos: list[Photo]) -> None:
    for text in GOOD:
        matching_paths(cli, "--filter", text)
    placed = sorted(photo.path for photo in photos if photo.place)
    assert matching_paths(cli, "--filter", "exists lat") == placed
    silent = sorted(photo.path for photo in photos if not photo.place)
    assert matching_paths(cli, "--filter", "not (lat >= -90)") == silent


def test_what_only_newer_versions_take_is_refused_at_once(cli: Cli) -> None:
    ran = cli("search", "star", "--filter", 'camera like "%EOS%"')
    assert ran.code == 2
    assert "this Milvus does not take the filter: unsupported pattern" in ran.err


def test_tags_are_found_and_stay(cli: Cli, photos: list[Photo]) -> None:
    some = sorted(photo.path for photo in photos[:5])
    assert cli("tag", *some, "--add", "Mine").code == 0
    assert matching_paths(cli, "--tag", "mine") == some
    assert cli("tag").out == "Mine\t5\n"
    shown = photos[7].path.read_bytes()
    assert photos[0].path.suffix == ".jpeg"
    photos[0].path.write_bytes(shown)
    assert cli("import", photos[0].path, mode="json").json["counts"]["changed"] == 1
    assert matching_paths(cli, "--tag", "mine") == some
    assert cli("tag", *some, "--remove", "mine", "-q").out.splitlines() == list(map(str, some))
    assert matching_paths(cli, "--tag", "mine") == []
