"""A model in, its accepted int8 image tower out, if one was kept on this machine.

A tower is kept under a fingerprint of its own, so that a collection never mixes its vectors with
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
GRAPH, PROBES, _FACTS = "image.xml", "probes.npy", "int8.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """An accepted int8 image tower.

    Attributes:
        fingerprint: of the vectors it gives; `base` is that of the model it was made from.
        model: that model's name when it was made, and `source` its folder.
        made: seconds since 1970.
        facts: what was measured then, as `encoders.quantize` wrote it.
    """

    fingerprint: str
    base: str
    model: str
    source: str
    made: float
    facts: dict[str, Any]


def kept() -> list[Kept]:
    """Every accepted tower on this machine, newest first."""
    return sorted(_kept(), key=lambda one: one.made, reverse=True)


def of(model: ModelInfo) -> list[Kept]:
    """The towers made from this model, newest first."""
    return [one for one in kept() if one.base == (model.quantized_from or model.fingerprint)]


def as_int8(model: ModelInfo, fingerprint: str = "") -> ModelInfo | None:
    """The model with its int8 image tower, or None where there is none.

    Args:
        model: as `models.describe` gave it; one that is int8 already comes back as it is.
        fingerprint: of the tower that is wanted; "" for the newest.
    """
    if model.quantized_from:
        return model
    for one in of(model):
        if fingerprint in ("", one.fingerprint):
            return replace(model, fingerprint=one.fingerprint, quantized_from=one.base)
    return None


def require(model: ModelInfo, fingerprint: str = "") -> ModelInfo:
    """The model with its int8 image tower: that of `fingerprint` if it is here, else the newest.

    Raises:
        PrerequisiteError: none was accepted on this machine.
    """
    found = as_int8(model, fingerprint) or as_int8(model)
    if found is None:
        raise PrerequisiteError(
            f"there is no accepted int8 of {model.name} on this machine",
            hint="Make it from your own pictures: "
            f"`clipstack models optimize {model.name} --precision int8 --calibrate DIR`.",
        )
    return found


def folder(fingerprint: str) -> Path:
    """Where the tower with that fingerprint is, or would be."""
    return _home() / fingerprint[:32]


def keep(
    model: ModelInfo, made: Path, probes: NDArray[np.float32], facts: dict[str, Any]
) -> ModelInfo:
    """Keep an accepted tower for good.

    Args:
        model: what it was made from.
        made: a folder with the graph; its files are copied.
        probes: the vectors it gives for `export.probe_pictures`.
        facts: what was measured.

    Raises:
        PrerequisiteError: there is no room for it.
    """
    import numpy as np

    print_ = fingerprint_of(model, made)
    home = _home()
    entry = {
        "schema": _SCHEMA,
        "fingerprint": print_,
        "base": model.fingerprint,
        "model": model.name,
        "source": str(model.folder.resolve()),
        **facts,
    }
    try:
        home.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
        try:
            for file in _files(made):
                shutil.copyfile(file, fresh / file.name)
            np.save(fresh / PROBES, probes)
            (fresh / _FACTS).write_text(json.dumps(entry, indent=1), "utf-8")
            shutil.rmtree(folder(print_), ignore_errors=True)  # the same graph, measured before
            fresh.rename(folder(print_))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise PrerequisiteError(
            f"the int8 of {model.name} can't be kept in {home}: {error.strerror}",
            hint="Make room there, or set CLIPSTACK_CACHE_DIR.",
        ) from None
    return replace(model, fingerprint=print_, quantized_from=model.fingerprint)


def fingerprint_of(model: ModelInfo, made: Path) -> str:
    """64 hex digits, over the model's own fingerprint and the graph in folder `made`."""
    digest = hashlib.sha256(f"int8 {_SCHEMA} {model.fingerprint}".encode())
    for file in _files(made):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _files(made: Path) -> list[Path]:
    return [made / GRAPH, (made / GRAPH).with_suffix(".bin")]


def _home() -> Path:
    return cache_dir() / "openvino" / "int8"


def _kept() -> Iterator[Kept]:
    for file in _home().glob(f"[!.]*/{_FACTS}"):
        try:
            facts = json.loads(file.read_text("utf-8"))
            if facts["schema"] != _SCHEMA:
                continue
            yield Kept(
                fingerprint=str(facts["fingerprint"]),
                base=str(facts["base"]),
                model=str(facts["model"]),
                source=str(facts["source"]),
                made=float(facts["made"]),
                facts=facts,
            )
        except (OSError, ValueError, KeyError, TypeError):  # not whole: as if it were not there
            continue
