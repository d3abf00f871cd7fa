"""`models optimize` and what comes of it: int8 is accepted or refused, and never mixed."""

from __future__ import annotations

import importlib.util
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipstack.encoders import choice
from clipstack.encoders.openvino import optimization, quantization
from clipstack.scenes import combinations
from tests.running import MODES, Cli

pytestmark = pytest.mark.skipif(
    not choice.has_openvino() or importlib.util.find_spec("nncf") is None,
    reason="pip install 'clipstack-search[optimize]', on x86",
)

PICTURES = 330


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    scenes = list(combinations())
    random.Random(7).shuffle(scenes)
    for number, scene in enumerate(scenes[:PICTURES]):
        scene.draw(random.Random(number), 64).save(folder / f"{number:04d}-{scene.name}.png")
    for number in range(4):  # doubles under other names, in another folder
        (folder / "again").mkdir(exist_ok=True)
        double = sorted(folder.glob("*.png"))[number]
        shutil.copyfile(double, folder / "again" / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


@pytest.fixture(scope="module")
def accepted(pictures, tmp_path_factory):
    """What the command says of `shapes` and these pictures, and the cache it leaves."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSTACK_CACHE_DIR", str(cache))
        ran = Cli()("models", "optimize", "shapes", "--calibrate", pictures, mode="json")
    return ran, cache


@pytest.fixture
def int8(accepted, monkeypatch) -> str:
    """The fingerprint of an accepted int8 of `shapes`, at hand in this test."""
    ran, cache = accepted
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(cache))
    return ran.json["fingerprint"]


def kept(cache: Path) -> list[Path]:
    folder = cache / "openvino" / "int8"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_it_is_accepted_with_its_figures(accepted):
    ran, cache = accepted
    assert ran.code == 0, ran.out + ran.err
    found = ran.json
    assert found["accepted"] is True
    assert found["overlap"] >= found["least_overlap"] == 0.95
    assert found["recall"] >= found["least_recall"] == 0.98
    assert (found["failed"], found["same"]) == (1, 4)
    assert found["calibration"] + found["held_out"] == PICTURES
    assert found["calibration"] == PICTURES // 3
    assert found["usual_images_per_second"] > 0
    assert found["int8_images_per_second"] > 0
    assert len(kept(cache)) == 1
    assert not list(cache.glob("optimize-*")), "the pictures are gone"
    assert "clipstack import FOLDER --model shapes --precision int8" in ran.err
    assert "could not be read: 1." in ran.err


def test_a_collection_made_with_it_is_searched_with_it(cli: Cli, int8, gallery):
    made = cli("import", gallery, "-m", "shapes", "--precision", "int8")
    assert made.code == 0, made.err
    assert cli("collections", "show", "images", mode="json").json["fingerprint"] == int8
    picture = next(gallery.glob("*.png"))
    found = cli("search", "--image", picture, "-k", "1", mode="json").json["hits"]
    assert found[0]["score"] == pytest.approx(1, abs=1e-4), "the query is int8 as well"
    assert cli("search", "red circle", "-k", "3", mode="json").code == 0
    again = cli("import", gallery)
    assert again.code == 0
    assert "unchanged\t40" in again.out


def test_vectors_never_mix(cli: Cli, int8, gallery):
    assert cli("import", gallery, "-m", "shapes", "--precision", "int8").code == 0
    for line in (("import", gallery), ("search", "red circle")):
        refused = cli(*line, "--precision", "fp32")
        assert refused.code == 1
        assert "collection 'images' holds vectors of 'shapes' as int8" in refused.err
        assert "Leave out --precision fp32" in refused.err
    assert cli("import", gallery, "-m", "shapes", "-c", "plain").code == 0
    for line in (("import", gallery), ("search", "red circle")):
        refused = cli(*line, "-c", "plain", "--precision", "int8")
        assert refused.code == 1
        assert "collection 'plain' holds vectors of 'shapes' that are not int8" in refused.err
        assert "Leave out --precision int8" in refused.err


def test_another_machine_without_it_refuses_its_collection(
    cli: Cli, int8, gallery, tmp_path, monkeypatch
):
    assert cli("import", gallery, "-m", "shapes", "--precision", "int8").code == 0
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path / "empty"))
    refused = cli("search", "red circle")
    assert refused.code == 1
    assert "int8" in refused.err


def test_int8_needs_an_accepted_one(cli: Cli, gallery):
    refused = cli("import", gallery, "-m", "shapes", "--precision", "int8")
    assert refused.code == 4
    line = "clipstack models optimize shapes --precision int8 --calibrate"
    assert line in refused.err


def test_models_tell_of_it(cli: Cli, int8):
    shown = cli("models", "show", "shapes", mode="json").json
    assert shown["int8"] == int8
    assert shown["int8_overlap"] >= 0.95
    listed = cli("models", "list", mode="json").json["models"]
    assert {one["name"]: one["int8"] for one in listed}["shapes"] is True
    assert cli("models", "list").out.splitlines()[0].endswith("\tint8")


def blacken(model, pixels, folder, care):
    np.save(pixels, np.zeros_like(np.load(pixels)))
    quantize_(model, pixels, folder, care)


def spoil(model, pixels, folder, care):
    """A sound graph, some of whose 8-bit weights are then changed."""
    quantize_(model, pixels, folder, care)
    data = bytearray((folder / "image.bin").read_bytes())
    constant = r'element_type="i8" [^>]*offset="(\d+)" size="(\d+)"'
    found = re.findall(constant, (folder / "image.xml").read_text())
    assert found
    for start, size in found:
        for at in range(int(start), int(start) + int(size), 7):
            data[at] ^= 0x20
    (folder / "image.bin").write_bytes(data)


quantize_ = quantization.quantize


@pytest.mark.parametrize("fault", [blacken, spoil])
def test_a_bad_one_is_refused(fault, cli: Cli, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(quantization, "quantize", fault)
    ran = cli("models", "optimize", "shapes", "--calibrate", pictures, mode="json")
    assert ran.code == 1, ran.out + ran.err
    found = ran.json
    assert found["accepted"] is False
    assert found["overlap"] < 0.95
    assert found["fingerprint"] == ""
    assert [one["care"] for one in found["trials"]] == ["quick", "careful"]
    assert f"{found['overlap']:.4f} (at least 0.95)" in ran.err
    assert f"{found['recall']:.4f} (at least 0.98)" in ran.err
    assert f"{found['usual']} stays in use" in ran.err
    assert kept(tmp_path / "cache") == []
    refused = cli("import", pictures, "-m", "shapes", "--precision", "int8")
    assert refused.code == 4


def test_too_few_pictures(cli: Cli, pictures, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(pictures.glob("*.png"))[:150]:
        shutil.copyfile(file, few / file.name)
        shutil.copyfile(file, few / f"copy-{file.name}")
    refused = cli("models", "optimize", "shapes", "--calibrate", few)
    assert refused.code == 2
    assert "at least 200 different pictures" in refused.err
    assert "there are 150; 150 are the same as others" in refused.err


def test_wrong_requests(cli: Cli, pictures, tmp_path):
    assert cli("models", "optimize", "shapes").code == 2
    assert cli("models", "optimize", "shapes", "--calibrate", tmp_path / "no").code == 6
    wrong = cli("models", "optimize", "shapes", "--calibrate", pictures, "--precision", "int4")
    assert wrong.code == 2
    assert "int4" in wrong.err


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("passes", [True, False])
def test_modes(mode, passes, cli: Cli, report, monkeypatch):
    if not passes:
        report.model = optimization.describe(optimization.resolve("shapes", download=False))
        report.trials[-1].agreement = optimization.RankingAgreement(0.9012, 0.97, 0.8, 0.0, 100)
    monkeypatch.setattr(optimization, "optimize", lambda *_: report)
    ran = cli("models", "optimize", "shapes", "--calibrate", ".", mode=mode)
    assert ran.code == (0 if passes else 1)
    if mode == "json":
        assert ran.json["accepted"] is passes
    elif mode == "quiet":
        assert ran.out.strip() == (report.model.fingerprint if passes else "")
    else:
        figure = f"{report.trials[-1].agreement.overlap:.4f}".rstrip("0")
        assert figure in ran.text
        assert ("accepted" in ran.text) if passes or mode == "plain" else ("refused" in ran.text)


@pytest.fixture
def report(accepted, int8):
    from clipstack.encoders.openvino.int8_store import as_int8

    info = optimization.describe(optimization.resolve("shapes", download=False))
    agreement = optimization.RankingAgreement(0.9812, 1.0, 0.97, 0.0, 200)
    return optimization.OptimizationReport(
        model=as_int8(info) or info,
        usual="bf16",
        usual_speed=80.0,
        usual_agreement=agreement,
        trials=[optimization.Trial("quick", agreement, 140.0)],
        calibration=100,
        held_out=200,
    )
