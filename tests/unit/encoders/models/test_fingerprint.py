"""What changes a model's fingerprint, what does not, and the cache of digests."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from clipstack.encoders.models.catalog import describe
from clipstack.encoders.models.fingerprint import cache_file
from tests import models


def mark(folder) -> str:
    return describe(folder).fingerprint


def test_the_same_model_elsewhere_is_the_same(clip, copied):
    assert mark(clip) == mark(copied)


def test_names_times_and_layout_of_the_files_do_not_count(clip, copied):
    for path in copied.glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text("utf-8"))), encoding="utf-8")
    os.utime(copied / "model.safetensors", (1, 1))
    (copied / "README.md").write_text("other", encoding="utf-8")
    models.edit_json(copied / "config.json", transformers_version="4.0", _name_or_path="elsewhere")
    assert mark(clip) == mark(copied)


def test_defaults_said_or_left_out_are_the_same(clip, copied):
    path = copied / "preprocessor_config.json"
    config = json.loads(path.read_text("utf-8"))
    del config["feature_extractor_type"], config["image_mean"], config["do_resize"]
    config |= {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    config |= {"image_processor_type": "CLIPImageProcessorFast", "do_rescale": True}
    models.write_json(path, config)
    assert mark(clip) == mark(copied)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_mean": [0.5, 0.5, 0.5]},
        {"image_std": [0.3, 0.3, 0.3]},
        {"resample": 2},
        {"do_normalize": False},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5},
        {"size": 40},
        {"size": {"height": 32, "width": 32}},
        {"do_center_crop": False, "size": {"height": 32, "width": 32}},
    ],
)
def test_other_preprocessing_is_another_model(clip, copied, changes):
    models.edit_json(copied / "preprocessor_config.json", **changes)
    assert mark(clip) != mark(copied)


def test_every_one_of_these_is_a_model_of_its_own(clip, copied):
    marks = {mark(clip)}
    for changes in ({"size": 40}, {"size": 48}, {"resample": 2, "size": 32}, {"resample": 1}):
        models.edit_json(copied / "preprocessor_config.json", **changes)
        marks.add(mark(copied))
    assert len(marks) == 5


def test_other_weights_are_another_model(clip, copied, tmp_path):
    path = copied / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert mark(clip) != mark(copied)
    assert mark(clip) != mark(models.tiny_clip(tmp_path / "seed", seed=9))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tokenizer_config.json", {"pad_token": "!"}),
        ("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"}),
        ("tokenizer.json", {"normalizer": None}),
    ],
)
def test_another_tokenizer_is_another_model(clip, copied, name, changes):
    models.edit_json(copied / name, **changes)
    assert mark(clip) != mark(copied)


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"eos_token_id": 2}])
def test_another_way_to_compute_is_another_model(clip, copied, change):
    path = copied / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["text_config"] |= change
    models.write_json(path, config)
    assert mark(clip) != mark(copied)


def test_another_context_length_is_another_model(siglip, tmp_path):
    folder = shutil.copytree(siglip, tmp_path / "copy")
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["text_config"]["max_position_embeddings"] = 32
    models.write_json(path, config)
    assert mark(siglip) != mark(folder)


def test_a_spare_form_of_the_vocabulary_does_not_count(clip, copied):
    """One machine's cache has vocab.json beside tokenizer.json, another's has not."""
    (copied / "vocab.json").write_text("{}", encoding="utf-8")
    (copied / "merges.txt").write_text("", encoding="utf-8")
    assert mark(clip) == mark(copied)


def test_a_vocabulary_siglip_does_not_read_does_not_count(siglip, tmp_path):
    folder = shutil.copytree(siglip, tmp_path / "copy")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert mark(siglip) == mark(folder)


def test_digests_are_remembered_and_used(copied):
    mark(copied)
    entries = json.loads(cache_file().read_text("utf-8"))
    path = str((copied / "model.safetensors").resolve())
    assert path in entries
    entries[path]["sha256"] = "0" * 64
    models.write_json(cache_file(), entries)
    remembered = mark(copied)
    cache_file().unlink()
    assert remembered != mark(copied)


def test_a_file_that_changed_is_read_again(copied):
    before = mark(copied)
    path = copied / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    state = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert mark(copied) != before


def test_a_file_put_in_its_place_with_the_same_time_is_read_again(copied):
    before = mark(copied)
    path = copied / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    state = path.stat()
    other = path.with_name("other")
    other.write_bytes(data)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)
    assert mark(copied) != before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"x": 1}'])
def test_a_broken_cache_is_ignored_and_made_anew(copied, content):
    before = mark(copied)
    cache_file().write_bytes(content)
    assert mark(copied) == before
    assert str((copied / "model.safetensors").resolve()) in cache_file().read_text("utf-8")


@pytest.mark.parametrize("entry", [1, {}, {"sha256": 5}, {"seal": None, "sha256": "x"}])
def test_a_broken_entry_is_ignored(copied, entry):
    before = mark(copied)
    entries = json.loads(cache_file().read_text("utf-8"))
    models.write_json(cache_file(), dict.fromkeys(entries, entry))
    assert mark(copied) == before


def test_entries_of_vanished_files_are_dropped(clip, copied):
    mark(copied)
    shutil.rmtree(copied)
    path = str((copied / "model.safetensors").resolve())
    assert path in cache_file().read_text("utf-8")
    mark(clip)
    assert path not in cache_file().read_text("utf-8")


def test_a_cache_that_can_not_be_written_is_done_without(clip, tmp_path, monkeypatch):
    expected = mark(clip)
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(file / "below"))
    assert mark(clip) == expected
