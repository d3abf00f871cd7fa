"""Exports: folders with the two towers of a model as OpenVINO graphs, and its tokenizer.

A model is exported once per fingerprint, in a process of its own, which returns the memory that
PyTorch and transformers take; neither is imported to import pictures or to search.
The preprocessing is part of the image tower, which reads uint8 pixels. With the graphs lie the
vectors PyTorch gave for a few probes, so that every machine can check what its own CPU gives.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders import subprocesses
from clipstack.encoders.base import ModelInfo
from clipstack.errors import PrerequisiteError
from clipstack.events import SILENT, Events
from clipstack.images.geometry import Geometry
from clipstack.settings import cache_dir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = 2
IMAGES, TEXTS, MANIFEST, PROBES = "image.xml", "text.xml", "export.json", "probes.npz"
VOCABULARY, EMBEDDINGS = "vocabulary.npy", "inputs_embeds"
"""The token embeddings by token id, and the text tower's input that takes rows of them."""
PROBE_TEXTS = ("a photo of a dog", "two red circles", "x", "an old house by the sea " * 20)
_PROBE_PICTURES = 4


def shipped(folder: Path) -> Path:
    """The export inside a model folder, for a model that is shipped with one."""
    return folder / "openvino"


def shipped_info(name: str, revision: str, folder: Path) -> ModelInfo | None:
    """A model that is shipped as an export, without its weights; None for another.

    Raises:
        PrerequisiteError: the export is not one of this version of clipstack's.
    """
    if not (shipped(folder) / MANIFEST).is_file():
        return None
    try:
        manifest = read_manifest(shipped(folder))
        info = manifest["info"]
        return ModelInfo(
            name=name,
            revision=revision,
            fingerprint=str(manifest["fingerprint"]),
            dimension=int(info["dimension"]),
            family=str(info["family"]),
            geometry=Geometry.from_json(info["geometry"]),
            context_length=int(info["context_length"]),
            folder=folder,
        )
    except (ValueError, LookupError, TypeError) as error:
        raise PrerequisiteError(
            f"{shipped(folder) / MANIFEST} can't be used: {error}", hint="Build the image again."
        ) from None


def export_folder(info: ModelInfo) -> Path:
    """Where the export of this model is, or would be."""
    if (shipped(info.folder) / MANIFEST).is_file():
        return shipped(info.folder)
    return cache_dir() / "openvino" / f"{(info.quantized_from or info.fingerprint)[:32]}-{SCHEMA}"


def ensure_export(info: ModelInfo, events: Events = SILENT) -> Path:
    """The folder of the model's export; exports the model first where there is none.

    Args:
        events: reports an export.

    Raises:
        PrerequisiteError: the model can't be loaded or exported, or there is no room for it.
    """
    folder = export_folder(info)
    if (folder / MANIFEST).is_file():
        return folder
    events.note(f"Preparing {info.name} for this machine, once")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        _run_conversion(info, fresh)
        try:
            fresh.rename(folder)
        except OSError:
            if not (folder / MANIFEST).is_file():  # else another process was quicker
                raise
    except OSError as error:
        raise PrerequisiteError(
            f"the model {info.name} can't be prepared in {folder.parent}: {error.strerror}",
            hint="Make room there, set CLIPSTACK_CACHE_DIR, or add `--engine torch`.",
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _run_conversion(info: ModelInfo, folder: Path) -> None:
    process = subprocesses.run_module(
        "clipstack.encoders.openvino.conversion",
        info.name,
        str(info.folder),
        info.revision,
        str(folder),
    )
    if process.returncode:
        try:
            failure = json.loads(process.stdout)
        except ValueError:
            reason = subprocesses.last_line(process)
            failure = {"message": f"the model {info.name} can't be prepared for OpenVINO: {reason}"}
        raise PrerequisiteError(
            failure["message"], hint=failure.get("hint") or "Add `--engine torch` to do without."
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return manifest


def probe_pictures(info: ModelInfo) -> NDArray[np.uint8]:
    """Pictures to check an engine with, uint8 [n, height, width, 3]: noise, coarse to fine."""
    import numpy as np

    height, width = info.geometry.shape
    random = np.random.default_rng(1)
    pictures = []
    for number in range(_PROBE_PICTURES):
        cell = 4**number
        rows, columns = -(-height // cell), -(-width // cell)
        coarse = random.integers(0, 256, (rows, columns, 3), np.uint8)
        pictures.append(coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width])
    return np.stack(pictures)
