"""What the gate lets through, and what is kept of an int8 tower."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipstack import encoders
from clipstack.encoders import choice
from clipstack.encoders.models.catalog import describe, resolve
from clipstack.encoders.openvino import export, int8_store, quantization
from clipstack.encoders.openvino.encoder import OpenVinoEncoder
from clipstack.encoders.openvino.ranking_agreement import compare_rankings, lowest_agreement
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError

on_x86 = pytest.mark.skipif(not choice.has_openvino(), reason="OpenVINO is for x86")


def vectors(count=400, dimension=64, seed=1):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def with_noise(of, share, seed=2):
    noise = np.random.default_rng(seed).normal(size=of.shape).astype(np.float32)
    return of + share * noise


def test_the_same_vectors_agree_wholly_whatever_their_length():
    one = vectors()
    found = lowest_agreement(one, one * np.linspace(1, 9, len(one), dtype=np.float32)[:, None])
    assert (found.overlap, found.recall, found.first, found.tied) == (1, 1, 1, 0)
    assert found.queries == len(one)
    assert found.accepted


def test_noise_is_refused_and_a_little_is_not():
    one = vectors()
    assert lowest_agreement(one, with_noise(one, 0.005)).accepted
    for share in (0.3, 3.0):
        assert not lowest_agreement(one, with_noise(one, share)).accepted
    assert lowest_agreement(one, vectors(seed=9)).overlap < 0.1


def test_figures_are_what_they_say():
    """Ten pictures in a row on a circle, two hits each, and one that changes its place."""
    angles = np.radians(np.array([0, 1, 2.1, 3.3, 4.6, 6, 7.5, 9.1, 10.8, 12.6]))
    one = np.stack([np.cos(angles), np.sin(angles)], 1)
    angles[0] = np.radians(40)  # no longer near to 1, 2 and 3
    other = np.stack([np.cos(angles), np.sin(angles)], 1)
    found = compare_rankings(one, other, other, 2)
    # 0: wants 1 2, gets 9 8. 1: wants 0 2, gets 2 3. 2: wants 1 3 (0 is third). Others as before.
    assert found.overlap == pytest.approx((0 + 1 + 8 * 2) / 20)
    assert found.recall == pytest.approx(8 / 10)
    assert found.first == pytest.approx(8 / 10)


def test_a_query_from_the_unquantised_tower_counts_too():
    """Vectors turned all alike rank alike among themselves, and not against others."""
    one = vectors()
    turned = one @ np.linalg.qr(vectors(64, 64, seed=5))[0]
    assert compare_rankings(unit(one), unit(turned), unit(turned), 10).overlap > 0.999
    assert not lowest_agreement(one, turned).accepted


def unit(of):
    return of / np.linalg.norm(of, axis=1, keepdims=True)


def test_doubles_stand_for_each_other():
    one = np.repeat(vectors(100), 2, axis=0)
    shuffled = one.copy()
    shuffled[::2], shuffled[1::2] = one[1::2], one[::2]
    found = lowest_agreement(one, shuffled, 11)  # the other one and five pairs
    assert (found.overlap, found.recall, found.first) == (1, 1, 1)


def test_a_model_that_tells_nothing_apart_is_not_accepted():
    same = np.ones((300, 8), np.float32)
    found = lowest_agreement(same, same)
    assert (found.tied, found.queries) == (1, 0)
    assert not found.accepted


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An int8 that is none: the tower of `shapes` as it is, kept as if it had been accepted."""
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path / "cache"))
    info = describe(resolve("shapes", download=False))
    folder = export.ensure_export(info)
    probes = OpenVinoEncoder(info, "fp32").encode_images(export.probe_pictures(info))
    return info, int8_store.store_tower(info, folder, probes, {"made": 1.0})


@on_x86
def test_an_int8_has_a_fingerprint_of_its_own_and_is_found(made):
    info, int8 = made
    assert int8.fingerprint != info.fingerprint
    assert len(int8.fingerprint) == 64
    assert int8.quantized_from == info.fingerprint
    assert int8_store.as_int8(info) == int8
    assert int8_store.as_int8(info, int8.fingerprint) == int8
    assert int8_store.as_int8(info, "other") is None
    assert [tower.fingerprint for tower in int8_store.towers_of(int8)] == [int8.fingerprint]


@on_x86
def test_loading_it(made):
    info, int8 = made
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
def test_the_newest_is_used_and_an_older_one_stays(made, tmp_path):
    info, first = made
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
def test_a_cpu_that_computes_it_otherwise_is_noticed(made):
    """As one without VNNI does, where sums of 8-bit products overflow."""
    _, int8 = made
    file = int8_store.folder(int8.fingerprint) / int8_store.PROBES
    np.save(file, with_noise(np.load(file), 3.0))
    encoder = encoders.load(int8)
    with pytest.raises(ClipstackError, match="int8 on this CPU gives other vectors"):
        encoder.encode_images(export.probe_pictures(int8))


@on_x86
def test_what_is_not_whole_is_as_if_it_were_not_there(made):
    info, int8 = made
    (int8_store.folder(int8.fingerprint) / "int8.json").write_text('{"schema": 1')
    assert int8_store.stored_towers() == []
    with pytest.raises(PrerequisiteError) as error:
        encoders.load(info, precision="int8")
    assert "clipstack models optimize shapes --precision int8 --calibrate" in error.value.hint


@on_x86
def test_it_is_of_one_model_only(made, tmp_path):
    info, _ = made
    other = replace(info, fingerprint="f" * 64)
    assert int8_store.towers_of(other) == []
    assert int8_store.as_int8(other) is None


def test_nncf_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(PrerequisiteError) as error:
        quantization.check_installed()
    assert "pip install 'clipstack-search[optimize]'" in error.value.hint


@on_x86
def test_nncf_failing_is_told(tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path / "cache"))
    info = describe(resolve("shapes", download=False))
    np.save(tmp_path / "pixels.npy", np.zeros((3, 5, 5, 3), np.uint8))
    with pytest.raises(ClipstackError, match="NNCF can't quantise shapes"):
        quantization.quantize(info, tmp_path / "pixels.npy", Path(tmp_path), "quick")


@on_x86
def test_facts_are_json(made):
    _, int8 = made
    facts = json.loads((int8_store.folder(int8.fingerprint) / "int8.json").read_text())
    assert facts["model"] == "shapes"
