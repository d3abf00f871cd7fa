"""The tests' own caches in, models of every family out; made once a session, never downloaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import models


@pytest.fixture(autouse=True)
def own_caches(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's models, digests or hub settings."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
    monkeypatch.setenv("CLIPSTACK_CACHE_DIR", str(tmp_path_factory.mktemp("digests")))


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    return models.tiny_clip(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="session")
def siglip(tmp_path_factory) -> Path:
    return models.tiny_siglip(tmp_path_factory.mktemp("models") / "siglip")


@pytest.fixture(scope="session")
def siglip2(tmp_path_factory) -> Path:
    return models.tiny_siglip2(tmp_path_factory.mktemp("models") / "siglip2")


@pytest.fixture(scope="session")
def full_size() -> Path:
    return models.vit_b_32()


@pytest.fixture
def copied(clip, tmp_path) -> Path:
    """A CLIP folder a test may break."""
    return Path(shutil.copytree(clip, tmp_path / "copied"))
