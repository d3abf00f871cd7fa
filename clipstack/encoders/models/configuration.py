"""The config files of a model folder; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clipstack.encoders.models.preprocessing import (
    Preprocessing,
    read_json,
    read_preprocessing,
)
from clipstack.encoders.models.weights import tensor_shapes, weights_files
from clipstack.errors import PrerequisiteError

# Defaults of CLIPConfig and SiglipConfig in transformers, for keys a config leaves out; only
# those that change the vectors.
_CLIP_TEXT: dict[str, Any] = {
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
}
_CLIP_VISION: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_SIGLIP_TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 64,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "projection_size": None,
}
_SIGLIP_VISION: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "vision_use_head": True,
}
_DEFAULTS = {"clip": (_CLIP_TEXT, _CLIP_VISION), "siglip": (_SIGLIP_TEXT, _SIGLIP_VISION)}
_GEMMA_TOKENIZERS = ("GemmaTokenizer", "Siglip2Tokenizer")
_TOKENIZER_OPTIONS = (
    "do_lower_case",
    "padding_side",
    "truncation_side",
    "add_bos_token",
    "add_eos_token",
)
_SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True)
class TextConfiguration:
    """How a batch of texts becomes token ids.

    Attributes:
        padding: "longest" pads to the longest of the batch, "max_length" always to `length`.
        length: tokens; longer texts are cut off.
        attention_mask: whether the model reads which tokens are padding. SigLIP was trained
            without (docs of transformers, SigLIP; big_vision's text tower has no mask).
        lowercase: whether texts are put in lower case first. SigLIP 2 was trained so (paper,
            arXiv:2502.14786, section 2.1), while its checkpoints name a tokenizer that does not:
            https://huggingface.co/google/siglip2-base-patch16-224/discussions/22
        tokenizer: class named by the tokenizer's config, without "Fast", or "".
        files: the tokenizer's vocabulary: the one set of files that transformers would read.
        options: what else the tokenizer's config sets.
    """

    padding: Literal["longest", "max_length"]
    length: int
    attention_mask: bool
    lowercase: bool
    tokenizer: str
    files: tuple[Path, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelConfiguration:
    """What a folder says of its model; of the weights only the headers are read."""

    model_type: str
    family: str
    dimension: int
    preprocessing: Preprocessing
    text: TextConfiguration
    architecture: Mapping[str, Any]
    weights: tuple[Path, ...]


def read_configuration(folder: Path) -> ModelConfiguration:
    """Read and check config.json, the processor's and tokenizer's configs and weights headers.

    Raises:
        PrerequisiteError: a file is missing or broken, or the model is not a dual encoder
            that clipstack can use; the message names the file.
    """
    config = _config(folder)
    try:
        return _facts(folder, config)
    except (TypeError, ValueError, KeyError) as error:
        raise PrerequisiteError(f"{folder / 'config.json'} can't be used: {error}") from None


def is_dual_encoder(folder: Path) -> bool:
    """Whether the config is of a family clipstack knows; the folder may be incomplete."""
    try:
        return read_json(folder / "config.json").get("model_type") in {*_DEFAULTS, "siglip2"}
    except PrerequisiteError:
        return False


def _facts(folder: Path, config: Mapping[str, Any]) -> ModelConfiguration:
    model_type = str(config["model_type"])
    text, vision = _towers(config, model_type)
    preprocessing = read_preprocessing(folder, model_type)
    _check_image_size(folder, vision["image_size"], preprocessing)
    rules = _text_rules(folder, model_type, int(text["max_position_embeddings"]))
    weights = weights_files(folder)
    dimension = _dimension(folder, config, text, vision, tensor_shapes(weights))
    family = model_type
    if model_type == "siglip" and rules.tokenizer in _GEMMA_TOKENIZERS:
        family = "siglip2"
    architecture = {"model_type": model_type, "text": text, "vision": vision}
    return ModelConfiguration(
        model_type, family, dimension, preprocessing, rules, architecture, tuple(weights)
    )


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file() and (folder / "0_CLIPModel").is_dir():
        raise PrerequisiteError(
            f"{folder} is a sentence-transformers folder; the model is inside it",
            hint=f"Use `--model {folder / '0_CLIPModel'}`.",
        )
    config = read_json(path)
    model_type = config.get("model_type")
    if model_type == "siglip2":
        raise PrerequisiteError(
            f"{path} is a NaFlex model, which reads pictures of varying shapes; clipstack reads "
            "the SigLIP 2 models of one fixed shape",
            hint="Use `--model google/siglip2-base-patch16-224` instead.",
        )
    if model_type not in _DEFAULTS:
        raise PrerequisiteError(
            f"{path} is not a model that embeds both pictures and texts (model_type: "
            f"{model_type or 'none'}); clipstack reads {' and '.join(_DEFAULTS)}",
            hint="`clipstack models list` shows models that work.",
        )
    return config


def _towers(config: Mapping[str, Any], model_type: str) -> tuple[dict[str, Any], dict[str, Any]]:
    text_defaults, vision_defaults = _DEFAULTS[model_type]
    return (
        _tower(config, "text_config", text_defaults),
        _tower(config, "vision_config", vision_defaults),
    )


def _tower(config: Mapping[str, Any], key: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Old CLIP configs have `text_config_dict`, which takes precedence: see CLIPConfig."""
    newer = dict(config.get(key) or {})
    older = config.get(f"{key}_dict")
    values = {**defaults, **newer} if older is None else {**newer, **defaults, **older}
    return {name: values[name] for name in defaults}


def _check_image_size(
    folder: Path, image_size: int | Sequence[int], preprocessing: Preprocessing
) -> None:
    expected = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if preprocessing.geometry.shape != expected:
        height, width = preprocessing.geometry.shape
        raise PrerequisiteError(
            f"the files of {folder} do not belong together: config.json reads pictures of "
            f"{expected[0]} x {expected[1]} pixels, the preprocessor makes {height} x {width}"
        )


def _text_rules(folder: Path, model_type: str, length: int) -> TextConfiguration:
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    tokenizer = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    clip = model_type == "clip"
    return TextConfiguration(
        padding="longest" if clip else "max_length",
        length=length,
        attention_mask=clip,
        lowercase=not clip and tokenizer in _GEMMA_TOKENIZERS,
        tokenizer=tokenizer,
        files=tokenizer_files(folder, tokenizer),
        options=_options(folder, config),
    )


def tokenizer_files(folder: Path, tokenizer: str) -> tuple[Path, ...]:
    """The vocabulary, in one of its forms.

    Raises:
        PrerequisiteError: there is none.
    """
    forms: list[tuple[str, ...]] = [
        ("tokenizer.json",),
        ("vocab.json", "merges.txt"),
        ("spiece.model",),
        ("tokenizer.model",),
    ]
    if tokenizer == "SiglipTokenizer":
        forms.insert(0, ("spiece.model",))
    for form in forms:
        if all((folder / name).is_file() for name in form):
            return tuple(folder / name for name in form)
    raise PrerequisiteError(
        f"the model folder {folder} is incomplete: tokenizer.json is missing",
        hint="Copy the whole folder again, or fetch it with `clipstack models pull`.",
    )


def _options(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "special_tokens_map.json"
    older = read_json(path) if path.is_file() else {}
    options = {key: config[key] for key in _TOKENIZER_OPTIONS if config.get(key) is not None}
    for key in _SPECIAL_TOKENS:
        token = config.get(key, older.get(key))
        options[key] = token.get("content") if isinstance(token, dict) else token
    return options


def _dimension(
    folder: Path,
    config: Mapping[str, Any],
    text: Mapping[str, Any],
    vision: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
) -> int:
    """From the weights where they have a header, else from the config; both towers must agree."""
    if config["model_type"] == "clip":
        projected = int(config.get("projection_dim", 512))
        of_text = _rows(folder, shapes, "text_projection.weight", projected)
        of_images = _rows(folder, shapes, "visual_projection.weight", projected)
    else:
        if not vision["vision_use_head"]:
            raise PrerequisiteError(f"{folder / 'config.json'} is a model without a pooling head")
        projected = int(text["projection_size"] or text["hidden_size"])
        of_text = _rows(folder, shapes, "text_model.head.weight", projected)
        layer = "vision_model.head.layernorm.weight"
        of_images = _rows(folder, shapes, layer, int(vision["hidden_size"]))
    if of_text != of_images:
        raise PrerequisiteError(
            f"{folder} can't compare pictures with texts: its vectors have {of_images} and "
            f"{of_text} numbers"
        )
    return of_text


def _rows(folder: Path, shapes: Mapping[str, tuple[int, ...]], name: str, otherwise: int) -> int:
    if not shapes:
        return otherwise
    if name not in shapes:
        raise PrerequisiteError(
            f"the weights in {folder} are incomplete: {name} is missing",
            hint="A model of one tower only (text or vision) can't search pictures by text.",
        )
    return shapes[name][0]
