"""`import` and `search` give the same hits with the service as in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import models
from tests.service.conftest import TOKEN
from tests.serving import free_port


def hits(ran) -> list[tuple[str, float]]:
    assert ran.code == 0, ran.err
    return [(hit["path"], round(hit["score"], 4)) for hit in ran.json["hits"]]


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
def test_import_and_search_give_the_same_hits(cli, service, gallery, metric):
    here = cli("import", gallery, "-m", "shapes", "-c", "here", "--metric", metric, mode="json")
    there = cli(
        *("import", gallery, "-c", "there", "--metric", metric, "--encoder-url", service.url),
        mode="json",
    )
    assert (here.code, there.code) == (0, 0), there.err
    assert there.json["imported"] == here.json["imported"] if "imported" in here.json else True
    image = next(gallery.glob("*.png"))
    for query in (["a red circle"], ["stripes"], ["--image", image]):
        by_service = cli("search", *query, "-c", "there", "--encoder-url", service.url, mode="json")
        assert hits(by_service) == hits(cli("search", *query, "-c", "here", mode="json"))
        # The collections are alike, so each can be searched either way.
        assert hits(by_service) == hits(cli("search", *query, "-c", "there", mode="json"))


def test_the_service_is_named_and_comes_from_the_settings(cli, service, gallery):
    Path("clipstack.toml").write_text(f'encoder_url = "{service.url}"\n')
    ran = cli("import", gallery)
    assert ran.code == 0
    assert service.url in ran.err
    assert cli("collections", "show", "images", mode="json").json["model"] == "shapes"


def test_a_collection_of_another_model_is_refused(cli, service, gallery, tmp_path):
    other = models.tiny_clip(tmp_path / "other")
    assert cli("import", gallery, "-m", other, "-c", "other").code == 0
    for line in (["search", "dog"], ["import", gallery]):
        ran = cli(*line, "-c", "other", "--encoder-url", service.url)
        assert ran.code == 1
        assert "other" in ran.err


def test_a_model_that_the_service_does_not_have_is_refused(cli, service, gallery, tmp_path):
    other = models.tiny_clip(tmp_path / "other")
    ran = cli("import", gallery, "-m", other, "--encoder-url", service.url)
    assert ran.code == 2
    assert "shapes" in ran.err
    assert cli("import", gallery, "-m", "shapes", "--encoder-url", service.url).code == 0


def test_a_token_comes_from_the_environment_and_is_never_shown(
    cli, strict_service, gallery, monkeypatch
):
    ran = cli("import", gallery, "--encoder-url", strict_service.url)
    assert ran.code == 5
    assert "CLIPSTACK_ENCODER_TOKEN" in ran.err
    monkeypatch.setenv("CLIPSTACK_ENCODER_TOKEN", TOKEN)
    ran = cli("import", gallery, "--encoder-url", strict_service.url)
    assert ran.code == 0, ran.err
    for mode in ("human", "plain", "json", "quiet"):
        shown = cli("config", "show", "--origin", mode=mode)
        assert TOKEN not in shown.out + shown.err
        assert TOKEN not in cli("search", "dog", "--encoder-url", strict_service.url, mode=mode).err


def test_no_service_there(cli, imported):
    ran = cli("search", "dog", "--encoder-url", f"http://127.0.0.1:{free_port()}")
    assert ran.code == 5
    assert "clipstack serve" in ran.err
    assert cli("search", "dog", "--encoder-url", "nonsense").code == 2
