"""The weights files of a model folder: which, whether complete, and their shapes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from clipstack.errors import PrerequisiteError

# In the order in which transformers looks for them.
WHOLE = ("model.safetensors", "pytorch_model.bin")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
ORDER = (WHOLE[0], INDEXES[0], WHOLE[1], INDEXES[1])

_MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors format
_GIT_LFS = b"version https://git-lfs"


def has_weights(folder: Path) -> bool:
    """Whether there is any file of weights, or an index of some."""
    return any((folder / name).is_file() for name in ORDER)


def weights_files(folder: Path) -> list[Path]:
    """The files that hold the weights, in the order of their names.

    Raises:
        PrerequisiteError: there are none, a part is missing, or the index of the parts is broken.
    """
    for name in ORDER:
        path = folder / name
        if not path.is_file():
            continue
        if name in WHOLE:
            return [path]
        return _shards(path)
    raise PrerequisiteError(
        f"the model folder {folder} has no weights: {WHOLE[0]} or {WHOLE[1]} is missing",
        hint="Copy the whole folder again, or fetch it with `clipstack models pull`.",
    )


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrerequisiteError(f"{index} is not an index of weights files: {error}") from None
    for name in names:
        if not (index.parent / name).is_file():
            raise PrerequisiteError(
                f"the model folder {index.parent} is incomplete: {name} is missing",
                hint="Copy the whole folder again, or fetch it with `clipstack models pull`.",
            )
    return [index.parent / name for name in names]


def tensor_shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Shapes by tensor name, from the headers alone; {} for `.bin` files, which have no header.

    Raises:
        PrerequisiteError: a file is cut short or is not what its name says.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        if path.suffix == ".safetensors":
            shapes.update(_safetensors_shapes(path))
        else:
            _check_pickle(path)
    return shapes


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read per https://huggingface.co/docs/safetensors: 8 bytes of length, a JSON header, data."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= _MAX_HEADER:
            raise _broken(path, start + file.read(64), "it has no safetensors header")
        raw = file.read(length)
    if len(raw) < length:
        raise _broken(path, start + raw, "it is cut short")
    try:
        header: dict[str, Any] = json.loads(raw)
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _broken(path, start + raw, "its safetensors header is damaged") from None
    if size != 8 + length + end:
        raise _broken(path, b"", f"it holds {size:,} bytes where {8 + length + end:,} belong")
    return shapes


def _check_pickle(path: Path) -> None:
    """PyTorch writes a zip file since 1.6, before that a bare pickle."""
    with path.open("rb") as file:
        start = file.read(64)
    if start[:2] == b"PK":
        if not zipfile.is_zipfile(path):
            raise _broken(path, start, "it is cut short")
    elif start[:1] != b"\x80":
        raise _broken(path, start, "it is not a PyTorch file")


def _broken(path: Path, start: bytes, why: str) -> PrerequisiteError:
    if start.startswith(_GIT_LFS):
        return PrerequisiteError(
            f"{path} is only a Git LFS pointer, not the weights",
            hint="Type `git lfs pull` in that folder, or copy the file from the hub's web page.",
        )
    return PrerequisiteError(
        f"{path} is damaged: {why}",
        hint="Copy the file again, or delete it and fetch it with `clipstack models pull`.",
    )
