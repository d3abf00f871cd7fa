"""Models by name: their folders, and what is known of them without importing PyTorch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.models import hub
from clipstack.encoders.models.configuration import is_dual_encoder, read_configuration
from clipstack.encoders.models.fingerprint import fingerprint
from clipstack.encoders.models.hub import HubName
from clipstack.encoders.models.weights import has_weights
from clipstack.encoders.openvino.export import shipped_info
from clipstack.errors import NotFoundError, PrerequisiteError, UsageError
from clipstack.events import SILENT, Events
from clipstack.settings import DEFAULT_MODEL

BUILT_IN = "shapes"


RECOMMENDED: dict[str, str] = {
    "openai/clip-vit-base-patch32": "the default: quick on any machine, 512 numbers, 605 MB",
    "openai/clip-vit-base-patch16": "finer patches: better on small things, about 4 x slower",
    "openai/clip-vit-large-patch14": "better still, 768 numbers, 1.7 GB; wants a GPU",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "as quick as the default, trained on open data",
    "google/siglip-base-patch16-224": "ranks better than CLIP of its size, 768 numbers, 813 MB",
    "google/siglip2-base-patch16-224": "understands many languages, 768 numbers, 1.5 GB",
}
"""Models to choose from: hub id -> what it is good for, in one line."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model's files.

    Attributes:
        name: as the user gave it.
        path: the folder.
        source: where it came from.
        revision: the hub's commit hash, or "".
    """

    name: str
    path: Path
    source: Literal["built-in", "folder", "hub"]
    revision: str = ""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model on this machine. `problem` says why it can't be used, or is ""; `size`: bytes."""

    name: str
    source: Literal["built-in", "folder", "hub"]
    revision: str
    family: str
    dimension: int
    size: int
    folder: Path
    problem: str = ""


def resolve(name: str, *, download: bool, events: Events = SILENT) -> ModelFolder:
    """Find a model's folder; the hub is asked only where `download` is set and the cache has none.

    Args:
        name: `shapes`, a folder, or a hub id with an optional `@revision`.
        download: fetch the model if it is not in the cache, or not whole.
        events: reports a download.

    Raises:
        PrerequisiteError: not on this machine and not available, or incomplete.
        NotFoundError: no such folder, or no such model on the hub.
        UsageError: the name can't be a model's.
    """
    if name == BUILT_IN:
        return _built_in()
    path = _folder(name)
    if path is not None:
        return _local(name, path)
    hub_name = _hub_name(name)
    snapshot = hub.cached(hub_name)
    if snapshot is not None and _is_complete(snapshot):
        return _snapshot(name, snapshot)
    if download:
        return _snapshot(name, hub.download(hub_name, events))
    if snapshot is None:
        raise hub.unavailable(hub_name, "")
    read_configuration(snapshot)  # raises what is wrong with it
    return _snapshot(name, snapshot)


def pull(name: str, events: Events = SILENT) -> ModelFolder:
    """Fetch a hub's model, or what is missing or newer of it; others only need to be there.

    Args:
        name: as for `resolve`.
        events: reports the download.

    Raises:
        as `resolve`.
    """
    if name == BUILT_IN or _folder(name):
        return resolve(name, download=False)
    return _snapshot(name, hub.download(_hub_name(name), events, 3 * hub.PATIENCE))


def describe(folder: ModelFolder | Path) -> ModelInfo:
    """What is known of a model, from its config files and the headers of its weights.

    The first call reads the weights once for the fingerprint (about a second per GB); their
    digest is then remembered in the user's cache folder.

    Raises:
        PrerequisiteError: a file is missing or broken, or the model is not a dual encoder.
    """
    if not isinstance(folder, ModelFolder):
        folder = _local(str(folder), folder)
    if not has_weights(folder.path):
        info = shipped_info(folder.name, folder.revision, folder.path)
        if info is not None:
            return info
    configuration = read_configuration(folder.path)
    return ModelInfo(
        name=folder.name,
        revision=folder.revision,
        fingerprint=fingerprint(configuration),
        dimension=configuration.dimension,
        family=configuration.family,
        geometry=configuration.preprocessing.geometry,
        context_length=configuration.text.length,
        folder=folder.path,
    )


def list_models() -> list[ListedModel]:
    """The built-in model and the dual encoders in the Hugging Face cache, whole or not."""
    listed = [_listed(BUILT_IN, "built-in", "", _built_in_path())]
    for name, snapshot in hub.cached_snapshots():
        if is_dual_encoder(snapshot):
            listed.append(_listed(str(name), "hub", snapshot.name, snapshot))
    return listed


def _folder(name: str) -> Path | None:
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises for an unknown ~user
    return path.resolve() if name and path.is_dir() else None


def _hub_name(name: str) -> HubName:
    parsed = hub.parse(name)
    if parsed is not None and not name.startswith((".", "/", "~")):
        return parsed
    hint = "A model is `shapes`, a folder, or a hub id such as " + DEFAULT_MODEL + "."
    if "/" in name or "\\" in name:
        raise NotFoundError(f"there is no model folder {name}", hint=hint)
    raise UsageError(f"{name!r} is not the name of a model", hint=hint)


def _built_in_path() -> Path:
    return Path(__file__).parent / BUILT_IN


def _built_in() -> ModelFolder:
    return ModelFolder(BUILT_IN, _built_in_path(), "built-in")


def _local(name: str, path: Path) -> ModelFolder:
    """A folder inside the hub's cache is still the hub's, with its commit."""
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return ModelFolder(name, path, "hub", path.name)
    return ModelFolder(name, path, "folder")


def _snapshot(name: str, snapshot: Path) -> ModelFolder:
    return ModelFolder(name, snapshot, "hub", snapshot.name)


def _is_complete(snapshot: Path) -> bool:
    try:
        read_configuration(snapshot)
    except PrerequisiteError:
        return False
    return True


def _listed(
    name: str, source: Literal["built-in", "hub"], revision: str, folder: Path
) -> ListedModel:
    family, dimension, problem = "", 0, ""
    try:
        configuration = read_configuration(folder)
        family, dimension = configuration.family, configuration.dimension
    except PrerequisiteError as error:
        problem = error.message
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return ListedModel(name, source, revision, family, dimension, size, folder, problem)
