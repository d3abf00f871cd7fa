"""The environment or the bento the service runs from in, the model it serves out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipstack.encoders.models.catalog import ModelFolder, resolve
from clipstack.settings import DEFAULT_MODEL

VARIABLE = "CLIPSTACK_MODEL"
NAME = "clipstack_name"
"""Key of a stored model's metadata: the model's name as its user said it."""
REVISION = "clipstack_revision"
"""Key of a stored model's metadata: the hub's commit hash, or ""."""


def model_folder(bento: Any = None, *, download: bool = True) -> ModelFolder:
    """The model to serve, the first of these that there is.

    1. `CLIPSTACK_MODEL`: `shapes`, a folder or a hub id.
    2. The model inside the bento: the first one its `bento.yaml` lists, in BentoML's model store.
       Its files lie at the top of the stored model; its metadata may hold `clipstack_name` and
       `clipstack_revision`, so that the service goes by the same name as the model at home.
    3. openai/clip-vit-base-patch32.

    Args:
        bento: the `bentoml.Bento` the service was loaded from, or None.
        download: fetch a hub's model that is not on this machine.

    Raises:
        PrerequisiteError: the model is not on this machine and not to be had, or incomplete.
        NotFoundError, UsageError: as `encoders.models.resolve`.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        found = resolve(named, download=download)
        return replace(found, name=str(found.path)) if found.source == "folder" else found
    if bento is not None and bento.info.all_models:
        return _stored(bento.info.all_models[0])
    return resolve(DEFAULT_MODEL, download=download)


def _stored(info: Any) -> ModelFolder:
    stored = info.to_model().resolve()
    if isinstance(stored, str):  # a model that BentoML keeps in the hub's cache
        return resolve(stored, download=False)
    metadata = dict(stored.info.metadata)
    revision = str(metadata.get(REVISION, ""))
    name = str(metadata.get(NAME) or stored.tag)
    return ModelFolder(name, Path(stored.path), "hub" if revision else "folder", revision)
