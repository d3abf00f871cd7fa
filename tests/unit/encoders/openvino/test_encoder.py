"""OpenVINO's vectors against PyTorch's, and what is said when it can't be used."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from clipstack import encoders
from clipstack.encoders import choice
from clipstack.encoders.models.catalog import describe, resolve
from clipstack.encoders.openvino import export
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.scenes import demo_scenes
from tests import models
from tests.notes import Notes

pytestmark = pytest.mark.skipif(not choice.has_openvino(), reason="OpenVINO is for x86")

FAMILIES = ["clip", "siglip", "siglip2", "shapes"]
TEXTS = ["a dog", "two red boats by the quay, at night " * 9, "An OLD house; Émile", "", "\udcff x"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """One cache for the file: an export takes seconds."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(autouse=True)
def kept_exports(cache, monkeypatch, own_caches):
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(cache))


@pytest.fixture
def model(request, family) -> str:
    return "shapes" if family == "shapes" else str(request.getfixturevalue(family))


def openvino(model, precision="fp32"):
    return encoders.load(str(model), engine="openvino", precision=precision)


def pixels_for(encoder, count=9):
    height, width = encoder.info.geometry.shape
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), np.uint8)


def cosines(left, right):
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_pytorch(model):
    ours, theirs = openvino(model), encoders.load(model, engine="torch")
    assert (ours.engine, theirs.engine) == ("openvino", "torch")
    pixels = pixels_for(ours)
    np.testing.assert_allclose(
        ours.encode_images(pixels), theirs.encode_images(pixels), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        ours.encode_texts(TEXTS), theirs.encode_texts(TEXTS), rtol=1e-3, atol=1e-4
    )
    assert ours.token_counts(TEXTS) == theirs.token_counts(TEXTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_near(model):
    try:
        ours = openvino(model, "bf16")
    except PrerequisiteError as error:
        pytest.skip(error.message)
    theirs, pixels = encoders.load(model, engine="torch"), pixels_for(ours)
    assert cosines(ours.encode_images(pixels), theirs.encode_images(pixels)).min() > 0.999
    assert cosines(ours.encode_texts(TEXTS), theirs.encode_texts(TEXTS)).min() > 0.999


def test_the_full_size_model(full_size):
    ours, theirs = openvino(full_size, "auto"), encoders.load(str(full_size), engine="torch")
    pixels = pixels_for(ours, 4)
    assert cosines(ours.encode_images(pixels), theirs.encode_images(pixels)).min() > 0.999
    assert cosines(ours.encode_texts(TEXTS), theirs.encode_texts(TEXTS)).min() > 0.999


def test_bfloat16_finds_the_same_pictures():
    """The top 10 of 200 searches, by words and by pictures, over 1,500 scenes."""
    try:
        ours = openvino("shapes", "bf16")
    except PrerequisiteError as error:
        pytest.skip(error.message)
    theirs = encoders.load("shapes", engine="torch")
    drawn = [scene.draw(random.Random(n), 64) for n, scene in enumerate(demo_scenes(1600))]
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in drawn])
    texts = sorted({scene.caption(random.Random(0)) for scene in demo_scenes(400, seed=5)})[:100]

    def found(encoder):
        vectors = encoder.encode_images(pixels)
        queries = np.concatenate([encoder.encode_texts(texts), vectors[1500:]])
        rows = vectors[:1500] / np.linalg.norm(vectors[:1500], axis=1, keepdims=True)
        return np.argsort(-(queries @ rows.T), axis=1)[:, :10]

    same = [
        len({*left} & {*right}) / 10 for left, right in zip(found(ours), found(theirs), strict=True)
    ]
    assert len(same) == 200
    assert np.mean(same) >= 0.97


def test_end_of_text_is_found_as_the_config_says(tmp_path):
    for name, token in (("old", 2), ("new", None)):
        folder = models.tiny_clip(tmp_path / name, eos_token_id=token)
        ours = openvino(folder).encode_texts(TEXTS)
        theirs = encoders.load(str(folder), engine="torch").encode_texts(TEXTS)
        assert cosines(ours, theirs).min() > 0.99999


def test_any_number_of_pictures_at_once(clip):
    encoder = openvino(clip)
    pixels = pixels_for(encoder, 130)
    together = encoder.encode_images(pixels)
    apart = np.concatenate([encoder.encode_images(pixels[n : n + 1]) for n in range(0, 130, 26)])
    np.testing.assert_allclose(together[::26], apart, rtol=1e-4, atol=1e-5)
    assert encoder.encode_images(pixels[:0]).shape == (0, encoder.info.dimension)
    assert encoder.encode_texts([]).shape == (0, encoder.info.dimension)


def test_threads_do_not_mix_up_answers(clip):
    encoder = openvino(clip)
    pixels = pixels_for(encoder, 40)
    expected = encoder.encode_images(pixels)
    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(lambda n: encoder.encode_images(pixels[n : n + 1])[0], range(40)))
    np.testing.assert_allclose(np.stack(got), expected, rtol=1e-4, atol=1e-5)


def test_wrong_shapes_and_types(clip):
    encoder = openvino(clip)
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode_images(pixels_for(encoder).astype(np.float32))
    with pytest.raises(ValueError, match="shape"):
        encoder.encode_images(pixels_for(encoder)[:, 1:])
    with pytest.raises(TypeError):
        encoder.encode_texts("a dog")


def test_neither_pytorch_nor_transformers_is_imported(clip):
    openvino(clip)
    program = (
        "import sys; from clipstack import encoders;"
        f"e = encoders.load({str(clip)!r}, engine='openvino');"
        "e.encode_texts(['a dog']);"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_tower_that_computes_something_else_is_refused(clip, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path))
    info = describe(resolve(str(clip), download=False))
    folder = export.ensure_export(info)
    with np.load(folder / export.PROBES) as probes:
        wrong = {name: -probes[name] for name in probes.files}
    np.savez(folder / export.PROBES, **wrong)
    encoder = openvino(clip)
    with pytest.raises(ClipstackError, match="other vectors than PyTorch"):
        encoder.encode_texts(["a dog"])


def test_an_export_is_made_once_and_told_of(clip, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path))
    notes = Notes()
    encoders.load(str(clip), engine="openvino", events=notes)
    encoders.load(str(clip), engine="openvino", events=notes)
    assert len(notes.texts) == 1
    (made,) = [path for path in (tmp_path / "openvino").iterdir() if path.is_dir()]
    assert json.loads((made / export.MANIFEST).read_text())["fingerprint"].startswith(
        made.name[:32]
    )


def test_a_model_that_cannot_be_loaded_leaves_nothing_behind(copied, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path))
    info = describe(resolve(str(copied), download=False))
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(PrerequisiteError):
        export.ensure_export(info)
    assert [path for path in (tmp_path / "openvino").iterdir() if path.is_dir()] == []


def test_which_engine():
    assert choice.choose("auto", "cpu") == "openvino"
    assert choice.choose("torch", "cpu") == "torch"
    assert choice.choose("auto", "cuda:0") == "torch"
    with pytest.raises(UsageError, match="not on cuda"):
        choice.choose("openvino", "cuda")
    with pytest.raises(UsageError, match="no engine"):
        choice.choose("onnx", "cpu")
    with pytest.raises(UsageError, match="no precision"):
        encoders.load("shapes", precision="fp8")
