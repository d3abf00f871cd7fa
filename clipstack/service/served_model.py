"""The model that the service serves: the environment's, the bento's or the default one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipstack.encoders.models.catalog import ModelFolder, resolve
from clipstack.settings import DEFAULT_MODEL

MODEL_VARIABLE = "CLIPSTACK_MODEL"
NAME = "clipstack_name"
"""Key of a stored model's metadata: the model's name as its user gave it."""
REVISION = "clipstack_revision"
"""Key of a stored model's metadata: the hub's commit hash, or ""."""


def model_folder(bento: Any = None, *, download: bool = True) -> ModelFolder:
    """The model to serve, the first of these that exists.

    1. `CLIPSTACK_MODEL`: `shapes`, a folder or a hub id.
    2. The model inside the bento: the first one its `bento.yaml` lists, in BentoML's model store.
       Its files lie at the top of the stored model; its metadata may hold `clipstack_name` and
       `clipstack_revision`, so that the service reports the name the model was built under.
    3. openai/clip-vit-base-patch32.

    Args:
        bento: the `bentoml.Bento` the service was loaded from, or None.
        download: whether to download a hub's model that is not on this machine.

    Raises:
        PrerequisiteError: the model is not on this machine and can't be downloaded, or it is
            incomplete.
        NotFoundError, UsageError: as `encoders.models.resolve`.
    """
    name = os.environ.get(MODEL_VARIABLE, "").strip()
    if name:
        folder = resolve(name, download=download)
        return replace(folder, name=str(folder.path)) if folder.source == "folder" else folder
    if bento is not None and bento.info.all_models:
        return _stored_model(bento.info.all_models[0])
    return resolve(DEFAULT_MODEL, download=download)


def _stored_model(info: Any) -> ModelFolder:
    stored = info.to_model().resolve()
    if isinstance(stored, str):  # a model that BentoML keeps in the hub's cache
        return resolve(stored, download=False)
    metadata = dict(stored.info.metadata)
    revision = str(metadata.get(REVISION, ""))
    name = str(metadata.get(NAME) or stored.tag)
    return ModelFolder(name, Path(stored.path), "hub" if revision else "folder", revision)
