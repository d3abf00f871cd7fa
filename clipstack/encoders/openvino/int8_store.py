"""The accepted int8 image towers that are stored on this machine.

A tower is stored under a fingerprint of its own, so that a collection never mixes its vectors with
those of the model it was made from. An older tower stays when a newer one is made: collections may
hold its vectors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.errors import PrerequisiteError
from clipstack.settings import cache_dir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SCHEMA = 1
GRAPH, PROBES, _MANIFEST = "image.xml", "probes.npy", "int8.json"


@dataclass(frozen=True, slots=True)
class StoredTower:
    """An accepted int8 image tower.

    Attributes:
        fingerprint: of the vectors it gives; `base` is that of the model it was made from.
        model: that model's name when it was made, and `source` its folder.
        made: when it was made, in seconds since 1970.
        measurements: what was measured then, as `optimization` wrote it.
    """

    fingerprint: str
    base: str
    model: str
    source: str
    made: float
    measurements: dict[str, Any]


def stored_towers() -> list[StoredTower]:
    """Every accepted tower on this machine, newest first."""
    return sorted(_read_all(), key=lambda tower: tower.made, reverse=True)


def towers_of(model: ModelInfo) -> list[StoredTower]:
    """The towers made from this model, newest first."""
    return [
        tower
        for tower in stored_towers()
        if tower.base == (model.quantized_from or model.fingerprint)
    ]


def as_int8(model: ModelInfo, fingerprint: str = "") -> ModelInfo | None:
    """The model with its int8 image tower, or None where there is none.

    Args:
        model: as `models.describe` gave it; one that is int8 already comes back as it is.
        fingerprint: of the tower that is wanted; "" for the newest.
    """
    if model.quantized_from:
        return model
    for tower in towers_of(model):
        if fingerprint in ("", tower.fingerprint):
            return replace(model, fingerprint=tower.fingerprint, quantized_from=tower.base)
    return None


def require(model: ModelInfo, fingerprint: str = "") -> ModelInfo:
    """The model with its int8 image tower: that of `fingerprint` if it is here, else the newest.

    Raises:
        PrerequisiteError: none was accepted on this machine.
    """
    int8_model = as_int8(model, fingerprint) or as_int8(model)
    if int8_model is None:
        raise PrerequisiteError(
            f"there is no accepted int8 of {model.name} on this machine",
            hint="Make it from your own pictures: "
            f"`clipstack models optimize {model.name} --precision int8 --calibrate DIR`.",
        )
    return int8_model


def folder(fingerprint: str) -> Path:
    """Where the tower with that fingerprint is, or would be."""
    return _store_folder() / fingerprint[:32]


def store_tower(
    model: ModelInfo, graph_folder: Path, probes: NDArray[np.float32], measurements: dict[str, Any]
) -> ModelInfo:
    """Store an accepted tower.

    Args:
        model: what it was made from.
        graph_folder: a folder with the graph; its files are copied.
        probes: the vectors it gives for `export.probe_pictures`.
        measurements: what was measured.

    Raises:
        PrerequisiteError: there is no room for it.
    """
    import numpy as np

    fingerprint = fingerprint_of(model, graph_folder)
    store = _store_folder()
    manifest = {
        "schema": _SCHEMA,
        "fingerprint": fingerprint,
        "base": model.fingerprint,
        "model": model.name,
        "source": str(model.folder.resolve()),
        **measurements,
    }
    try:
        store.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=store))
        try:
            for file in _files(graph_folder):
                shutil.copyfile(file, fresh / file.name)
            np.save(fresh / PROBES, probes)
            (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
            # The same graph, from an earlier run
            shutil.rmtree(folder(fingerprint), ignore_errors=True)
            fresh.rename(folder(fingerprint))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise PrerequisiteError(
            f"the int8 of {model.name} can't be kept in {store}: {error.strerror}",
            hint="Make room there, or set CLIPSTACK_CACHE_DIR.",
        ) from None
    return replace(model, fingerprint=fingerprint, quantized_from=model.fingerprint)


def fingerprint_of(model: ModelInfo, graph_folder: Path) -> str:
    """64 hex digits, over the model's own fingerprint and the graph in a folder."""
    digest = hashlib.sha256(f"int8 {_SCHEMA} {model.fingerprint}".encode())
    for file in _files(graph_folder):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _files(graph_folder: Path) -> list[Path]:
    return [graph_folder / GRAPH, (graph_folder / GRAPH).with_suffix(".bin")]


def _store_folder() -> Path:
    return cache_dir() / "openvino" / "int8"


def _read_all() -> Iterator[StoredTower]:
    for file in _store_folder().glob(f"[!.]*/{_MANIFEST}"):
        try:
            manifest = json.loads(file.read_text("utf-8"))
            if manifest["schema"] != _SCHEMA:
                continue
            yield StoredTower(
                fingerprint=str(manifest["fingerprint"]),
                base=str(manifest["base"]),
                model=str(manifest["model"]),
                source=str(manifest["source"]),
                made=float(manifest["made"]),
                measurements=manifest,
            )
        except (OSError, ValueError, KeyError, TypeError):  # incomplete: as if it were absent
            continue
