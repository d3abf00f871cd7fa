"""Int8 towers that are stored, found again and loaded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from clipstack import encoders
from clipstack.encoders import choice
from clipstack.encoders.models.catalog import describe, resolve
from clipstack.encoders.openvino import export, int8_store
from clipstack.encoders.openvino.encoder import OpenVinoEncoder
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError

on_x86 = pytest.mark.skipif(not choice.has_openvino(), reason="OpenVINO is for x86")


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """An int8 that is none: the tower of `shapes` as it is, stored as if it had been accepted."""
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path / "cache"))
    info = describe(resolve("shapes", download=False))
    folder = export.ensure_export(info)
    probes = OpenVinoEncoder(info, "fp32").encode_images(export.probe_pictures(info))
    return info, int8_store.store_tower(info, folder, probes, {"made": 1.0})


@on_x86
def test_an_int8_has_a_fingerprint_of_its_own_and_is_found(stored):
    info, int8 = stored
    assert int8.fingerprint != info.fingerprint
    assert len(int8.fingerprint) == 64
    assert int8.quantized_from == info.fingerprint
    assert int8_store.as_int8(info) == int8
    assert int8_store.as_int8(info, int8.fingerprint) == int8
    assert int8_store.as_int8(info, "other") is None
    assert [tower.fingerprint for tower in int8_store.towers_of(int8)] == [int8.fingerprint]


@on_x86
def test_loading_it(stored):
    info, int8 = stored
    for model, precision in (("shapes", "int8"), (info, "int8"), (int8, "auto"), (int8, "int8")):
        encoder = encoders.load(model, precision=precision)
        assert encoder.info.fingerprint == int8.fingerprint
        assert (encoder.engine, encoder.precision) == ("openvino", "int8")
    assert encoders.load("shapes").info.fingerprint == info.fingerprint
    plain = encoders.load("shapes", engine="openvino").encode_texts(["a red circle"])
    np.testing.assert_array_equal(encoder.encode_texts(["a red circle"]), plain)
    with pytest.raises(UsageError, match="int8"):
        encoders.load(int8, precision="fp32")
    with pytest.raises(UsageError, match="OpenVINO's"):
        encoders.load(info, precision="int8", engine="torch")


@on_x86
def test_the_newest_is_used_and_an_older_one_stays(stored, tmp_path):
    info, first = stored
    folder = tmp_path / "another"
    folder.mkdir()
    for file in ("image.xml", "image.bin"):
        (folder / file).write_bytes((export.ensure_export(info) / file).read_bytes())
    with (folder / "image.xml").open("a") as graph:
        graph.write("\n")
    newer = int8_store.store_tower(info, folder, np.zeros((4, 128), np.float32), {"made": 2.0})
    assert newer.fingerprint != first.fingerprint
    assert int8_store.require(info) == newer
    assert int8_store.require(info, first.fingerprint) == first


@on_x86
def test_a_cpu_that_computes_it_otherwise_is_noticed(stored):
    """As one without VNNI does, where sums of 8-bit products overflow."""
    _, int8 = stored
    file = int8_store.folder(int8.fingerprint) / int8_store.PROBES
    probes = np.load(file)
    noise = np.random.default_rng(2).normal(size=probes.shape)
    np.save(file, probes + 3 * noise.astype(np.float32))
    encoder = encoders.load(int8)
    with pytest.raises(ClipstackError, match="int8 on this CPU gives other vectors"):
        encoder.encode_images(export.probe_pictures(int8))


@on_x86
def test_what_is_not_whole_is_as_if_it_were_not_there(stored):
    info, int8 = stored
    (int8_store.folder(int8.fingerprint) / "int8.json").write_text('{"schema": 1')
    assert int8_store.stored_towers() == []
    with pytest.raises(PrerequisiteError) as error:
        encoders.load(info, precision="int8")
    assert "clipstack models optimize shapes --precision int8 --calibrate" in error.value.hint


@on_x86
def test_it_is_of_one_model_only(stored, tmp_path):
    info, _ = stored
    other = replace(info, fingerprint="f" * 64)
    assert int8_store.towers_of(other) == []
    assert int8_store.as_int8(other) is None


@on_x86
def test_the_manifest_is_json(stored):
    _, int8 = stored
    manifest = json.loads((int8_store.folder(int8.fingerprint) / "int8.json").read_text())
    assert manifest["model"] == "shapes"
