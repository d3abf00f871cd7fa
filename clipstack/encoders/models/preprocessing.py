"""What a model does to a picture before it reads it: geometry, scale, mean, std."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clipstack.errors import PrerequisiteError
from clipstack.images.geometry import Geometry

Triple = tuple[float, float, float]

# Defaults of the classes in transformers (models/clip/image_processing_pil_clip.py,
# models/siglip/image_processing_pil_siglip.py), for keys a config leaves out.
_COMMON: dict[str, Any] = {
    "resample": 3,
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "CLIPImageProcessor": _COMMON
    | {
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    },
    "SiglipImageProcessor": _COMMON
    | {
        "size": {"height": 224, "width": 224},
        "do_center_crop": False,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
}
_OF_MODEL_TYPE = {"clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}
FILES = ("processor_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to a picture before the model reads it.

    An engine feeds `(pixel * rescale - mean) / std` for uint8 pixels that have `geometry.shape`;
    steps a config switches off are neutral here (rescale 1, mean 0, std 1).
    """

    geometry: Geometry
    rescale: float
    mean: Triple
    std: Triple


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a model folder.

    Raises:
        PrerequisiteError: the file is missing, unreadable or not a JSON object.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PrerequisiteError(
            f"the model folder {path.parent} is incomplete: {path.name} is missing",
            hint="Copy the whole folder again, or fetch it with `clipstack models pull`.",
        ) from None
    except (OSError, ValueError) as error:
        raise PrerequisiteError(f"{path} can't be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise PrerequisiteError(f"{path} is not a JSON object")
    return value


def read_preprocessing(folder: Path, model_type: str) -> Preprocessing:
    """The rules of the model's image processor, from the file transformers would read.

    Args:
        folder: the model folder.
        model_type: of its config.json, for configs that do not name a processor.

    Raises:
        PrerequisiteError: no such file, a processor that is not known here, or rules that do
            not give every picture the same shape.
    """
    path, config = _processor_config(folder)
    kind = _kind(config, model_type)
    if kind not in _DEFAULTS:
        raise PrerequisiteError(
            f"{path} names an image processor clipstack does not know: {kind}",
            hint=f"Known are {' and '.join(_DEFAULTS)}, those of CLIP and SigLIP models.",
        )
    rules = _DEFAULTS[kind] | {key: value for key, value in config.items() if value is not None}
    try:
        return _preprocessing(rules)
    except (ValueError, TypeError, KeyError) as error:
        raise PrerequisiteError(f"{path} can't be used: {error}") from None


def _processor_config(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The nested form of newer models goes first, as in transformers' image_processing_base.py."""
    newer = folder / FILES[0]
    if newer.is_file():
        nested = read_json(newer).get("image_processor")
        if isinstance(nested, dict):
            return newer, nested
    path = folder / FILES[1]
    return path, read_json(path)


def _kind(config: Mapping[str, Any], model_type: str) -> str:
    name = config.get("image_processor_type") or config.get("feature_extractor_type")
    if name is None:
        return _OF_MODEL_TYPE.get(model_type, "none")
    name = str(name).replace("FeatureExtractor", "ImageProcessor")
    return name.removesuffix("Fast").removesuffix("Pil")


def _preprocessing(rules: Mapping[str, Any]) -> Preprocessing:
    normalise = bool(rules["do_normalize"])
    rescale = float(rules["rescale_factor"]) if rules["do_rescale"] else 1.0
    mean = _triple(rules["image_mean"], "image_mean") if normalise else (0.0, 0.0, 0.0)
    std = _triple(rules["image_std"], "image_std") if normalise else (1.0, 1.0, 1.0)
    if not math.isfinite(rescale) or rescale <= 0 or min(std) <= 0:
        raise ValueError("rescale_factor and image_std must be above 0")
    if rules.get("do_pad"):
        raise ValueError("padding of pictures (do_pad) is not supported")
    return Preprocessing(_geometry(rules), rescale, mean, std)


def _triple(value: object, key: str) -> Triple:
    values: list[Any] = value if isinstance(value, list) else [value] * 3
    numbers = [float(number) for number in values]
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{key} must be three numbers, not {value!r}")
    return numbers[0], numbers[1], numbers[2]


def _geometry(rules: Mapping[str, Any]) -> Geometry:
    if not rules["do_resize"]:
        raise ValueError("it does not resize, so pictures would not all have the model's shape")
    resample = int(rules["resample"])
    if resample not in range(6):
        raise ValueError(f"resample {resample} is none of Pillow's filters, 0 to 5")
    resize, size = _size(rules["size"])
    crop = _crop(rules["crop_size"]) if rules["do_center_crop"] else None
    if crop is None and resize == "shortest":
        raise ValueError("it keeps the aspect ratio and does not crop, so shapes would differ")
    if crop is not None and (crop[0] > size[0] or crop[1] > size[1]):
        raise ValueError(f"crop_size {crop} is larger than size {size}")
    return Geometry(resize=resize, size=size, crop=crop, resample=resample)


def _size(value: object) -> tuple[Literal["shortest", "exact"], tuple[int, int]]:
    """A number alone is the shorter edge: both processors set default_to_square to False."""
    if isinstance(value, int):
        return "shortest", (_edge(value), _edge(value))
    if isinstance(value, list) and len(value) == 2:
        return "exact", (_edge(value[0]), _edge(value[1]))
    if isinstance(value, dict):
        edges = {key: edge for key, edge in value.items() if edge is not None}
        if edges.keys() == {"shortest_edge"}:
            return "shortest", (_edge(edges["shortest_edge"]),) * 2
        if edges.keys() == {"height", "width"}:
            return "exact", (_edge(edges["height"]), _edge(edges["width"]))
    raise ValueError(f"size {value!r} is neither shortest_edge nor height and width")


def _crop(value: object) -> tuple[int, int]:
    if isinstance(value, int):
        return _edge(value), _edge(value)
    if isinstance(value, dict):
        return _edge(value["height"]), _edge(value["width"])
    raise ValueError(f"crop_size {value!r} is neither a number nor height and width")


def _edge(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 8192:
        raise ValueError(f"{value!r} is not a number of pixels")
    return value
