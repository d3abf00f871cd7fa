"""Names, folders and the hub's cache against what `resolve`, `describe` and `list_models` say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipstack.encoders.models.catalog import (
    RECOMMENDED,
    describe,
    list_models,
    pull,
    resolve,
)
from clipstack.encoders.models.hub import cache_folder
from clipstack.errors import ExitCode, NotFoundError, PrerequisiteError, UsageError
from clipstack.images.geometry import Geometry
from tests import models

COMMIT = "0" * 39 + "1"


@pytest.fixture
def cached(clip):
    """The tiny CLIP as the hub's org/tiny, in the cache."""
    return models.into_hub_cache(Path(os.environ["HF_HOME"]), "org/tiny", clip)


def test_a_folder_is_described(clip):
    info = describe(resolve(str(clip), download=False))
    assert info.name == str(clip)
    assert info.revision == ""
    assert (info.dimension, info.family, info.context_length) == (24, "clip", 32)
    assert info.geometry == Geometry("shortest", (32, 32), (32, 32), 3)
    assert info.folder == clip
    assert len(bytes.fromhex(info.fingerprint)) == 32


def test_the_families_are_told_apart(siglip, siglip2):
    one, two = describe(siglip), describe(siglip2)
    assert (one.family, one.dimension, one.context_length) == ("siglip", 32, 64)
    assert (two.family, two.dimension, two.context_length) == ("siglip2", 32, 64)
    assert one.geometry == Geometry("exact", (32, 32), None, 3)
    assert two.geometry == Geometry("exact", (32, 32), None, 2)


def test_the_built_in_model_is_described():
    info = describe(resolve("shapes", download=False))
    assert (info.name, info.family, info.dimension) == ("shapes", "clip", 128)


def test_a_relative_folder_and_the_home_folder(clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    assert resolve("./clip", download=False).path == clip
    assert resolve("clip", download=False).path == clip
    monkeypatch.setenv("HOME", str(clip.parent))
    assert resolve("~/clip", download=False).path == clip


def test_a_model_in_the_hubs_cache_needs_no_network(cached):
    folder = resolve("org/tiny", download=True)
    assert (folder.path, folder.revision, folder.source) == (cached, COMMIT, "hub")
    info = describe(folder)
    assert (info.name, info.revision, info.dimension) == ("org/tiny", COMMIT, 24)
    assert resolve(f"org/tiny@{COMMIT}", download=False).path == cached
    assert resolve("org/tiny@main", download=False).path == cached
    assert describe(cached).revision == COMMIT


def test_the_places_of_the_cache(cached, clip, tmp_path, monkeypatch):
    hub = cached.parents[2]
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    with pytest.raises(PrerequisiteError):
        resolve("org/tiny", download=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    assert resolve("org/tiny", download=False).path == cached
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    moved = models.into_hub_cache(tmp_path / "huggingface", "org/tiny", clip)
    assert resolve("org/tiny", download=False).path == moved


@pytest.mark.parametrize(
    "given",
    [
        {"HF_HOME": "~/a"},
        {"HF_HOME": "$HOME/b"},
        {"HF_HOME": ""},
        {"HF_HOME": "/a", "HF_HUB_CACHE": "$HF_HOME/x"},
        {"HF_HOME": "/a", "HUGGINGFACE_HUB_CACHE": "~/old"},
        {"XDG_CACHE_HOME": "/xdg"},
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(given, monkeypatch):
    """Against the library itself, in a process of its own: it reads the environment once."""
    monkeypatch.delenv("HF_HOME")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    script = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert theirs.stdout.strip() == str(cache_folder())


def test_another_revision_is_not_taken_for_the_one_asked_for(cached):
    with pytest.raises(PrerequisiteError, match="org/tiny@dev"):
        resolve("org/tiny@dev", download=False)


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_half_downloaded_model_is_named_with_its_missing_file(cached, lost):
    (cached / lost).unlink()
    with pytest.raises(PrerequisiteError, match=lost) as caught:
        resolve("org/tiny", download=False)
    assert "models pull" in caught.value.hint


def test_a_dangling_link_counts_as_missing(cached):
    (cached / "model.safetensors").resolve().unlink()
    with pytest.raises(PrerequisiteError, match=r"model\.safetensors"):
        resolve("org/tiny", download=False)


def test_a_model_that_is_nowhere_has_three_ways_out():
    with pytest.raises(PrerequisiteError, match="not on this machine") as caught:
        resolve("openai/clip-vit-base-patch32", download=False)
    assert caught.value.code == ExitCode.PREREQUISITE == 4
    ways = caught.value.hint.splitlines()
    assert len(ways) == 3
    assert "HF_ENDPOINT" in ways[0]
    assert "clipstack models pull openai/clip-vit-base-patch32" in ways[0]
    assert "--model /path/to/folder" in ways[1]
    assert "--model shapes" in ways[2]


@pytest.mark.parametrize("name", ["../nope", "/nope/nope", "~/nope", "a/b/c", "C:\\models\\x"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(NotFoundError, match="no model folder"):
        resolve(name, download=False)


@pytest.mark.parametrize("name", ["", "clip", "ViT-B/32@", "a b"])
def test_a_name_that_can_not_be_a_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, NotFoundError)) as caught:
        resolve(name, download=True)
    assert "openai/clip-vit-base-patch32" in caught.value.hint


def test_pull_of_what_needs_no_pulling(clip):
    assert pull(str(clip)).path == clip
    assert pull("shapes").source == "built-in"


@pytest.mark.parametrize(
    "lost",
    ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"],
)
def test_a_folder_without_one_of_its_files(copied, lost):
    (copied / lost).unlink()
    with pytest.raises(PrerequisiteError, match=lost.replace(".", r"\.")):
        describe(copied)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe"])
def test_a_broken_json_file_is_named(copied, name, content):
    (copied / name).write_bytes(content)
    with pytest.raises(PrerequisiteError, match=name.replace(".", r"\.")):
        describe(copied)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_json_file_that_holds_no_object_is_named(copied, name):
    (copied / name).write_text("[1]", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="not a JSON object"):
        describe(copied)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "bytes where"),
        (lambda data: data[:4], "no safetensors header"),
        (lambda data: data[:100], "cut short"),
        (lambda data: b"", "no safetensors header"),
        (lambda data: data + b"x", "bytes where"),
        (lambda data: b"\xff" * 200, "no safetensors header"),
        (lambda data: data[:8] + b"!" + data[9:], "header is damaged"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
    ],
)
def test_damaged_safetensors(copied, damage, words):
    path = copied / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PrerequisiteError, match=words) as caught:
        describe(copied)
    assert "model.safetensors" in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"PK\x03\x04 not all of it", "cut short"), (b"<html>", "not a PyTorch file")],
)
def test_damaged_pytorch_weights(copied, content, words):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(PrerequisiteError, match=words):
        describe(copied)


def test_a_missing_part_of_the_weights_is_named(copied):
    (copied / "model.safetensors").unlink()
    parts = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    models.write_json(copied / "model.safetensors.index.json", parts)
    with pytest.raises(PrerequisiteError, match="model-00001-of-00002"):
        describe(copied)


def test_pytorch_weights_take_the_dimension_from_the_config(copied):
    import torch

    (copied / "model.safetensors").unlink()
    torch.save({}, copied / "pytorch_model.bin")
    assert describe(copied).dimension == 24
    config = copied / "config.json"
    models.edit_json(config, projection_dim=None)
    with pytest.raises(PrerequisiteError, match=r"config\.json"):
        describe(copied)


def test_the_weights_win_over_the_config(copied):
    models.edit_json(copied / "config.json", projection_dim=512)
    assert describe(copied).dimension == 24


@pytest.mark.parametrize("model_type", ["bert", "clip_text_model", "clip_vision_model", None])
def test_a_model_that_is_no_dual_encoder(copied, model_type):
    models.edit_json(copied / "config.json", model_type=model_type)
    with pytest.raises(PrerequisiteError, match="both pictures and texts"):
        describe(copied)


def test_naflex_models_point_to_one_that_works(copied):
    models.edit_json(copied / "config.json", model_type="siglip2")
    with pytest.raises(PrerequisiteError, match="NaFlex") as caught:
        describe(copied)
    assert "google/siglip2-base-patch16-224" in caught.value.hint


def test_one_tower_saved_as_a_clip_is_incomplete(copied):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, copied / "model.safetensors")
    with pytest.raises(PrerequisiteError, match=r"visual_projection\.weight"):
        describe(copied)


def test_a_sentence_transformers_folder_points_inside(copied, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    shutil.move(copied, outer / "0_CLIPModel")
    with pytest.raises(PrerequisiteError) as caught:
        describe(outer)
    assert str(outer / "0_CLIPModel") in caught.value.hint


def test_list_models(cached, siglip):
    home = Path(os.environ["HF_HOME"])
    models.into_hub_cache(home, "org/other", siglip, "0" * 39 + "2")
    text_only = home / "hub" / "models--org--bert" / "snapshots" / COMMIT
    models.write_json(text_only / "config.json", {"model_type": "bert"})
    (cached / "tokenizer.json").unlink()
    listed = {model.name: model for model in list_models()}
    assert list(listed) == ["shapes", "org/other", "org/tiny"]
    other = listed["org/other"]
    assert (other.family, other.dimension, other.problem) == ("siglip", 32, "")
    assert other.revision == "0" * 39 + "2"
    assert other.size == sum(file.stat().st_size for file in siglip.iterdir())
    assert "tokenizer.json" in listed["org/tiny"].problem


def test_an_old_snapshot_is_listed_by_its_commit(cached, clip):
    old = cached.parent / ("0" * 39 + "3")
    shutil.copytree(clip, old)
    names = [model.name for model in list_models()]
    assert names == ["shapes", "org/tiny", f"org/tiny@{old.name}"]
    assert resolve(names[2], download=False).path == old


def test_recommended_names_are_hub_ids():
    for name in RECOMMENDED:
        with pytest.raises(PrerequisiteError, match="not on this machine"):
            resolve(name, download=False)


def test_describing_imports_nothing_heavy(clip, cached):
    script = f"""
import sys
from clipstack.encoders import base
assert "numpy" not in sys.modules
from clipstack.encoders.models.catalog import describe, list_models, resolve
describe(resolve({str(clip)!r}, download=False))
describe(resolve("org/tiny", download=True))
list_models()
heavy = {{"torch", "transformers", "numpy", "PIL", "safetensors", "tokenizers", "huggingface_hub"}}
print(sorted(heavy & sys.modules.keys()))
"""
    root = str(Path(__file__).parents[4])
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
