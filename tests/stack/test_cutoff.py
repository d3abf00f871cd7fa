"""`--min-score auto` on a real Milvus server: it keeps what the embedded one keeps."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from clipstack.scenes import demo_scenes
from tests.running import Cli
from tests.stack.stacks import Stack, compose_up, removed

COUNT = 200


def test_the_same_hits_stand_out_on_a_server(
    cli: Cli, stack_images: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    starless = [scene for scene in demo_scenes(2 * COUNT) if scene.shape != "star"][:COUNT]
    for number, scene in enumerate(starless):
        scene.draw(random.Random(number), 64).save(pictures / f"{scene.name}.png")
    assert cli("import", pictures, "--model", "shapes").code == 0
    lines = [
        ("search", "a star", "--min-score", "auto"),
        ("search", "a heart", "--min-score", "auto"),
        ("search", "a heart", "--min-score", "auto", "--under", pictures),
        ("search", "--image", next(pictures.iterdir()), "--min-score", "auto"),
    ]
    embedded = [cli(*line, mode="json").json["hits"] for line in lines]
    assert embedded[0] == []
    assert embedded[1]
    with removed(Stack(tmp_path / "stack", "clipstack-cutoff")) as stack:
        compose_up(stack, "etcd", "minio", "milvus")
        monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{stack.port('MILVUS')}")
        assert cli("import", pictures, "--model", "shapes").code == 0
        served = [cli(*line, mode="json").json["hits"] for line in lines]
    for here, there in zip(embedded, served, strict=True):
        assert [hit["path"] for hit in there] == [hit["path"] for hit in here]
        assert [hit["stands_out"] for hit in there] == pytest.approx(
            [hit["stands_out"] for hit in here], abs=0.05
        )
