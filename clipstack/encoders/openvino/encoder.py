"""The encoder of OpenVINO, for x86 CPUs; PyTorch is not imported."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.openvino import export, int8_store, runtime, tokenizer
from clipstack.encoders.validation import check_pixels, check_texts, gather
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.events import SILENT, Events
from clipstack.settings import atomic_file, cache_dir

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

PRECISIONS = ("auto", "bf16", "fp32", "int8")
LEAST_COSINE = {"bf16": 0.999, "fp32": 0.9999, "int8": 0.995}
"""How near to PyTorch's float32 vectors those of a precision must be, for every probe; for int8,
to the vectors it gave where it was accepted."""
_IMAGES_AT_ONCE = 64
_TEXTS_AT_ONCE = 256


class OpenVinoEncoder:
    """An `Encoder` (see base.py) on the CPU, in bfloat16 where it has that, else float32.

    A model that is int8 (see int8_store.py) has another image tower; what that leaves unquantised,
    and all texts, are computed in bfloat16 or float32 as ever.

    A tower is compiled when it is first needed: a search by words never reads the image tower.

    Args:
        info: what `catalog.describe` returned.
        precision: "auto", "bf16" or "fp32"; "int8" or "auto" for a model that is int8.
        events: reports an export.
        on_trial: for a model that is int8, the folder of its graph while that is not accepted.

    Raises:
        PrerequisiteError: the model can't be exported, or the precision is not available.
    """

    engine = "openvino"
    device = "cpu"

    def __init__(
        self,
        info: ModelInfo,
        precision: str = "auto",
        events: Events = SILENT,
        on_trial: Path | None = None,
    ) -> None:
        self._info = info
        self._on_trial = on_trial
        self._folder = export.ensure_export(info, events)
        self._manifest = export.read_manifest(self._folder)
        self._tokenizer: tokenizer.Tokenizer | tokenizer.SentencePieces | None = None
        self._vocabulary: NDArray[np.float32] | None = None
        self._tokenizer_lock = threading.Lock()
        self._lock = threading.Lock()
        self._towers: dict[str, Any] = {}
        self._core = runtime.import_openvino().Core()
        self._checked_towers = _CheckedTowers(self._core)
        self._tower_precision = self._compute_precision(precision)
        self.precision = "int8" if info.quantized_from else self._tower_precision

    @property
    def info(self) -> ModelInfo:
        """The model behind the vectors."""
        return self._info

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors of pictures: uint8 [n, height, width, 3] RGB -> float32 [n, dimension].

        Raises:
            ValueError: the array has another shape or type than the model reads.
            ClipstackError: a vector is not finite, or the CPU gives wrong ones.
        """
        import numpy as np

        check_pixels(pixels, self._info)
        return gather(
            (
                self._run(export.IMAGES, [np.ascontiguousarray(pixels[at : at + _IMAGES_AT_ONCE])])
                for at in range(0, len(pixels), _IMAGES_AT_ONCE)
            ),
            self._info,
        )

    def warm_up(self) -> None:
        """Compile the image tower."""
        with self._lock:
            self._compiled(export.IMAGES)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [n, dimension]; what exceeds the context length is cut off.

        Raises:
            TypeError: a text alone, not a sequence of them.
            ClipstackError: a vector is not finite, or the CPU gives wrong ones.
        """
        check_texts(texts)
        if texts and export.TEXTS not in self._towers:  # beside the loading of the tokenizer
            threading.Thread(target=self._compile_ahead, args=(export.TEXTS,), daemon=True).start()
        return gather(
            (
                self._run(export.TEXTS, self._text_inputs(texts[at : at + _TEXTS_AT_ONCE]))
                for at in range(0, len(texts), _TEXTS_AT_ONCE)
            ),
            self._info,
        )

    def _text_inputs(self, texts: Sequence[str]) -> dict[str, Any]:
        import numpy as np

        inputs: dict[str, Any] = self.tokenizer.ids(texts)
        if self._vocabulary is None:
            self._vocabulary = np.load(self._folder / export.VOCABULARY, mmap_mode="r")
        return inputs | {export.EMBEDDINGS: self._vocabulary[inputs["input_ids"]]}

    @property
    def tokenizer(self) -> tokenizer.Tokenizer | tokenizer.SentencePieces:
        """The tokenizer, loaded when first needed: an import of pictures does without."""
        with self._tokenizer_lock:
            if self._tokenizer is None:
                self._tokenizer = tokenizer.load(self._folder, self._manifest["text"])
            return self._tokenizer

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with those that mark its ends, before any is cut off."""
        return self.tokenizer.counts(texts)

    def _run(self, tower: str, inputs: Any) -> NDArray[np.float32]:
        with self._lock:
            vectors: NDArray[np.float32] = self._compiled(tower).infer(inputs)[0].copy()
        return vectors

    def _compile_ahead(self, tower: str) -> None:
        with (
            self._lock,
            contextlib.suppress(ClipstackError),
        ):  # raised again when the tower is needed
            self._compiled(tower)

    def _compiled(self, tower: str) -> Any:
        if tower not in self._towers:
            self._towers[tower] = self._compile(tower)
        return self._towers[tower]

    def _compile(self, tower: str) -> Any:
        graph = (
            self._int8_folder() / int8_store.GRAPH if self._is_int8(tower) else self._folder / tower
        )
        # The compiled graph without its weights, which stay where they are.
        cache_options = {
            "CACHE_DIR": str(cache_dir() / "openvino" / "compiled"),
            "CACHE_MODE": "OPTIMIZE_SIZE",
        }
        try:
            options = runtime.compile_properties(self._tower_precision) | cache_options
            request = self._core.compile_model(graph, "CPU", options).create_infer_request()
        except RuntimeError as error:
            raise PrerequisiteError(
                f"{graph} can't be loaded, it may be damaged: {_last_line(error)}",
                hint=f"Remove {graph.parent}, and it is made again.",
            ) from None
        self._check(tower, request)
        return request

    def _check(self, tower: str, request: Any) -> None:
        """Compare with the vectors PyTorch gave at the export, once for each CPU."""
        if self._on_trial and self._is_int8(tower):
            return
        precision = "int8" if self._is_int8(tower) else self._tower_precision
        key = f"{tower} {precision} {self._tower_fingerprint(tower)}"
        if self._checked_towers.contains(key):
            return
        if tower == export.IMAGES:
            vectors = request.infer([export.probe_pictures(self._info)])[0]
        else:
            vectors = request.infer(self._text_inputs(export.PROBE_TEXTS))[0]
        cosine = float(_cosines(vectors, self._expected(tower)).min())
        if not cosine >= LEAST_COSINE[precision]:
            raise ClipstackError(
                f"{precision} on this CPU gives other vectors than "
                f"{'where it was accepted' if precision == 'int8' else 'PyTorch does'} for "
                f"{self._info.name}: a cosine of {cosine:.5f}",
                hint={
                    "int8": "Make it again here: `clipstack models optimize`.",
                    "fp32": "Use `--engine torch`, and please report it.",
                }.get(precision, "Use `--precision fp32`."),
            )
        self._checked_towers.add(key, cosine)

    def _expected(self, tower: str) -> NDArray[np.float32]:
        import numpy as np

        if self._is_int8(tower):
            vectors: NDArray[np.float32] = np.load(self._int8_folder() / int8_store.PROBES)
        else:
            with np.load(self._folder / export.PROBES) as probes:
                vectors = probes["images" if tower == export.IMAGES else "texts"]
        return vectors

    def _is_int8(self, tower: str) -> bool:
        return bool(self._info.quantized_from) and tower == export.IMAGES

    def _tower_fingerprint(self, tower: str) -> str:
        if self._is_int8(tower):
            return self._info.fingerprint
        return str(self._manifest["fingerprint"])

    def _int8_folder(self) -> Path:
        return self._on_trial or int8_store.folder(self._info.fingerprint)

    def _compute_precision(self, precision: str) -> str:
        if precision not in PRECISIONS:
            raise UsageError(
                f"{precision!r} is no precision of OpenVINO's", hint=f"Use {', '.join(PRECISIONS)}."
            )
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise PrerequisiteError(
                "this CPU has no bfloat16", hint="Use `--precision auto` or `--precision fp32`."
            )
        is_int8 = bool(self._info.quantized_from)
        if precision != "auto" and is_int8 != (precision == "int8"):
            raise UsageError(
                f"these are vectors of an int8 model, not of {precision}"
                if is_int8
                else f"the model {self._info.name} was loaded as it is, not as int8",
                hint="Leave out --precision.",
            )
        return ("bf16" if has_bf16 else "fp32") if precision in ("auto", "int8") else precision


class _CheckedTowers:
    """Towers that this CPU has been found to compute right with this OpenVINO."""

    def __init__(self, core: Any) -> None:
        version = runtime.import_openvino().__version__
        self._machine = f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {version}"
        self._file = cache_dir() / "openvino" / "checked.json"

    def contains(self, key: str) -> bool:
        return key in self._read().get(self._machine, {})

    def add(self, key: str, cosine: float) -> None:
        entries = dict(self._read())
        entries[self._machine] = {**entries.get(self._machine, {}), key: round(cosine, 6)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            atomic_file.replace(self._file, json.dumps(entries, indent=1))
        except OSError as error:  # it is checked again the next time
            logging.getLogger(__name__).debug("%s: %s", self._file, error)

    def _read(self) -> Mapping[str, Any]:
        try:
            entries = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: NDArray[np.float32] = (left * right).sum(axis=1) / norms
    return cosines
