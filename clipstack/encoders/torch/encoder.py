"""The encoder of PyTorch, with models loaded by transformers."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.cpu import available_cores
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.encoders.models.configuration import ModelConfiguration, read_configuration
from clipstack.encoders.validation import check_pixels, check_texts, gather, replace_surrogates
from clipstack.errors import PrerequisiteError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

_IMAGES_AT_ONCE = {"cpu": 64, "mps": 64, "cuda": 256}
_TEXTS_AT_ONCE = 256


class TorchEncoder:
    """An `Encoder` (see base.py) on CUDA, MPS or the CPU.

    Args:
        model: what `catalog.describe` returned, or a folder.
        device: "auto" (CUDA, then MPS, then CPU) or a PyTorch device such as "cuda:1".
        precision: "fp32", "bf16" or "fp16"; "auto" is fp16 on CUDA and fp32 elsewhere.

    Raises:
        PrerequisiteError: the folder's files can't be loaded, or there is no such device.
        UsageError: no such kind of device, or no such precision.
    """

    engine = "torch"

    def __init__(
        self,
        model: ModelInfo | ModelFolder | Path,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self._info = model if isinstance(model, ModelInfo) else describe(model)
        self.configuration = read_configuration(self._info.folder)
        with _quiet():
            self.device = _device(device)
            self.precision = _precision(precision, self.device)
            _limit_threads()
            loaded = _load_model(self._info.folder)
            self.model = loaded.to(self.device, dtype=_dtype(self.precision))
            self.tokenizer = _load_tokenizer(self._info.folder, self.configuration.text.lowercase)
        # A tokenizer keeps its padding as state, so two threads can't use it at once.
        self._tokenizer_lock = threading.Lock()
        self.scale, self.shift = _affine(self.configuration, self.device)

    @property
    def info(self) -> ModelInfo:
        """The model behind the vectors."""
        return self._info

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            ClipstackError: a vector is not finite.
        """
        check_pixels(pixels, self._info)
        at_once = _IMAGES_AT_ONCE.get(self.device.type, 64)
        return self._gather(
            self._images(pixels[start : start + at_once])
            for start in range(0, len(pixels), at_once)
        )

    def warm_up(self) -> None:
        """Do nothing: the weights are loaded."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension]; what exceeds the context length is cut off.

        Raises:
            TypeError: a text alone, not a sequence of them.
            ClipstackError: a vector is not finite.
        """
        check_texts(texts)
        return self._gather(
            self._texts(texts[start : start + _TEXTS_AT_ONCE])
            for start in range(0, len(texts), _TEXTS_AT_ONCE)
        )

    def token_ids(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """What the text tower reads: int64 `input_ids` [n, length] and, for CLIP, the mask."""
        rules = self.configuration.text
        clean = [replace_surrogates(text) for text in texts]
        with self._tokenizer_lock:
            batch = self.tokenizer(
                clean,
                padding=rules.padding,
                truncation=True,
                max_length=rules.length,
                return_tensors="pt",
            )
        names = ["input_ids", "attention_mask"] if rules.attention_mask else ["input_ids"]
        return {name: batch[name].to(self.device) for name in names}

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with those that mark its ends, before any is cut off."""
        clean = [replace_surrogates(text) for text in texts]
        with self._tokenizer_lock:
            ids = self.tokenizer(clean, truncation=False, padding=False, verbose=False).input_ids
        return [len(tokens) for tokens in ids]

    def _images(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        import numpy as np
        import torch

        with torch.inference_mode():
            raw = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
            values = raw.permute(0, 3, 1, 2).to(torch.float32) * self.scale + self.shift
            return pooled(self.model.get_image_features(pixel_values=values))

    def _texts(self, texts: Sequence[str]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            return pooled(self.model.get_text_features(**self.token_ids(texts)))

    def _gather(self, parts: Iterator[torch.Tensor]) -> NDArray[np.float32]:
        return gather((part.to("cpu").float().numpy() for part in parts), self._info)


def pooled(output: Any) -> torch.Tensor:
    """transformers 4 returns the projected features, 5 an object that holds them as pooled."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    features = output.pooler_output
    assert isinstance(features, torch.Tensor)
    return features


def _affine(
    configuration: ModelConfiguration, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """(pixel * rescale - mean) / std as pixel * scale + shift; both of shape [3, 1, 1]."""
    import torch

    rules = configuration.preprocessing
    mean = torch.tensor(rules.mean, dtype=torch.float64)
    std = torch.tensor(rules.std, dtype=torch.float64)
    scale, shift = rules.rescale / std, -mean / std
    return (
        scale.float().reshape(3, 1, 1).to(device),
        shift.float().reshape(3, 1, 1).to(device),
    )


def _device(name: str) -> torch.device:
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"{name!r} is not a device", hint="Devices are auto, cpu, cuda, cuda:1 or mps."
        ) from None
    availability = {
        "cpu": True,
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    available = availability.get(device.type, False)
    if not (available() if callable(available) else available):
        raise PrerequisiteError(
            f"PyTorch finds no {device.type} device on this machine",
            hint="Use `--device auto`, or install a build of PyTorch for that device.",
        )
    return device


def _precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if precision not in ("fp32", "bf16", "fp16"):
        raise UsageError(
            f"{precision!r} is no precision of PyTorch's", hint="Use fp32, bf16 or fp16."
        )
    return precision


def _dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _limit_threads() -> None:
    """PyTorch counts the machine's cores; a container may be given less time than that."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))


def _load_model(folder: Path) -> Any:
    import torch
    from transformers import AutoModel

    try:
        model, loading = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:
        raise PrerequisiteError(
            f"the model in {folder} can't be loaded: {_first_line(error)}",
            hint="Copy the folder again, or fetch the model with `clipstack models pull`.",
        ) from error
    # transformers fills what the file lacks with random numbers and only warns.
    missing = sorted(loading["missing_keys"]) + sorted(map(str, loading["mismatched_keys"]))
    if missing:
        raise PrerequisiteError(
            f"the weights in {folder} are incomplete: {len(missing)} tensors are missing or have "
            f"another shape, the first is {missing[0]}"
        )
    return model.eval()


def _load_tokenizer(folder: Path, lowercase: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except ImportError as error:
        raise PrerequisiteError(
            f"the tokenizer in {folder} needs a package that is not installed",
            hint="Type `pip install sentencepiece protobuf`.",
        ) from error
    except Exception as error:
        raise PrerequisiteError(
            f"the tokenizer in {folder} can't be loaded: {_first_line(error)}"
        ) from error
    if lowercase:
        _lowercase_first(tokenizer.backend_tokenizer)
    return tokenizer


def _lowercase_first(backend: Any) -> None:
    """What Siglip2Tokenizer does (transformers, tokenization_siglip2.py); twice does no harm."""
    from tokenizers import normalizers

    normalizer = [backend.normalizer] if backend.normalizer is not None else []
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *normalizer])


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' warnings and progress bars off stderr while it loads."""
    # Tokenizers' own threads make it warn when a process forks later.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.ERROR + 10)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
