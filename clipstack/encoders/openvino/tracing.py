"""Tracing: a model loaded by PyTorch in, its two towers as OpenVINO graphs out."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.openvino import tokenizer as tokenizer_files
from clipstack.encoders.openvino.export import EMBEDDINGS
from clipstack.encoders.torch.encoder import TorchEncoder, pooled
from clipstack.errors import PrerequisiteError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


def trace(encoder: TorchEncoder) -> tuple[Any, Any, NDArray[np.float32]]:
    """Both towers as OpenVINO models for batches of any size, images first, and the vocabulary.

    Changes the encoder's model, which can't be used for anything else afterwards.

    The image tower reads uint8 [n, height, width, 3] and holds the preprocessing; the text tower
    reads what `encoder.token_ids` gives, and `EMBEDDINGS` [n, length, width], the rows of the
    vocabulary (float32 [tokens, width]) for them. Both give float32 [n, dimension].
    """
    import openvino
    import torch

    from clipstack.encoders.openvino.fused_image_tower import fuse_image_tower

    fuse_image_tower(encoder)
    height, width = encoder.info.geometry.shape
    rules = encoder.configuration.text
    ids = encoder.token_ids(["a dog", "a photo of two cats on a mat"])
    length = -1 if rules.padding == "longest" else rules.length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about branches that the model's config decides
        images = openvino.convert_model(
            _images(encoder),
            example_input=torch.zeros(2, height, width, 3, dtype=torch.uint8),
            input=[openvino.PartialShape([-1, height, width, 3])],
        )
        texts = openvino.convert_model(
            _texts(encoder),
            example_input=ids,
            input={name: openvino.PartialShape([-1, length]) for name in ids},
        )
    return images, texts, _vocabulary(texts)


def _vocabulary(texts: Any) -> NDArray[np.float32]:
    """Take the vocabulary out of the text tower, which then reads its rows.

    A text needs a few of them; the table is up to four fifths of the tower, and OpenVINO would
    read all of it from the disk and keep it in memory.
    """
    import openvino
    from openvino import opset13

    for gather in texts.get_ordered_ops():
        if (
            gather.get_type_name() != "Gather"
            or "token_embedding" not in gather.get_friendly_name()
        ):
            continue
        table = gather.input_value(0).get_node()
        vocabulary: NDArray[np.float32] = table.data.copy()
        rows = opset13.parameter(gather.get_output_partial_shape(0), openvino.Type.f32, EMBEDDINGS)
        rows.output(0).tensor.names = {EMBEDDINGS}
        gather.output(0).replace(rows.output(0))
        texts.add_parameters([rows])
        texts.validate_nodes_and_infer_types()
        return vocabulary
    raise PrerequisiteError("no token embedding was found", hint="Add `--engine torch`.")


def save_tokenizer(encoder: TorchEncoder, folder: Path) -> dict[str, Any]:
    """Write the tokenizer for `tokenizer.load`; returns how it pads and truncates.

    Raises:
        PrerequisiteError: it is one that only transformers can run.
    """
    tokenizer, rules = encoder.tokenizer, encoder.configuration.text
    manifest = {
        "padding": rules.padding,
        "length": rules.length,
        "attention_mask": rules.attention_mask,
        "pad_id": int(tokenizer.pad_token_id),
        "pad_token": str(tokenizer.pad_token),
    }
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.save(str(folder / tokenizer_files.FILE))
        return manifest
    if rules.files[0].name != tokenizer_files.PIECES:
        raise PrerequisiteError(
            f"the tokenizer of {encoder.info.name} can't be used without transformers",
            hint="Add `--engine torch`.",
        )
    shutil.copyfile(rules.files[0], folder / tokenizer_files.PIECES)
    return manifest | {
        "eos_id": int(tokenizer.eos_token_id),
        "unk_token": str(tokenizer.unk_token),
        "lowercase": bool(tokenizer.do_lower_case),
    }


def _images(encoder: TorchEncoder) -> torch.nn.Module:
    import torch

    class Images(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pooled(self.model.get_image_features(pixel_values=pixels))

    return Images().eval()


def _texts(encoder: TorchEncoder) -> torch.nn.Module:
    import torch

    class Texts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
        ) -> torch.Tensor:
            mask = {} if attention_mask is None else {"attention_mask": attention_mask}
            return pooled(self.model.get_text_features(input_ids=input_ids, **mask))

    return Texts().eval()
