"""A CLIP folder in, the ONNX files rclip reads out: same weights, inputs and precision.

    python export_onnx.py MODEL FOLDER VOCABULARY

Writes FOLDER-224 and FOLDER-256, each with `visual.onnx` for pictures of that size, `textual.onnx`,
the tokenizer's vocabulary, and empty files in place of the licences that rclip would fetch with its
model. At 256 pixels, which rclip's preprocessing makes, the position embeddings are interpolated,
as for any ViT that is used at another size.
Source: scripts/convert_model.py and rclip/model_download.py of rclip.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import torch
from transformers import CLIPModel

SUBFOLDER = "ViT-B-32-256-datacomp_s34b_b86k"
LICENCES = ("LICENSE", "OPENAI-CLIP-MIT.txt", "README.md", "THIRD_PARTY_NOTICES.md")


class Images(torch.nn.Module):
    def __init__(self, model: CLIPModel, interpolate: bool) -> None:
        super().__init__()
        self.model, self.interpolate = model, interpolate

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found = self.model.vision_model(
            pixel_values=values, interpolate_pos_encoding=self.interpolate
        )
        return self.model.visual_projection(found.pooler_output)


class Texts(torch.nn.Module):
    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)


def export(module: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    torch.onnx.export(
        module.eval(),
        (example,),
        str(path),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )


def main(folder: str, out: str, vocabulary: str) -> None:
    warnings.simplefilter("ignore")
    model = CLIPModel.from_pretrained(folder, attn_implementation="eager").eval()
    for edge in (224, 256):
        home = Path(f"{out}-{edge}")
        (home / SUBFOLDER).mkdir(parents=True, exist_ok=True)
        (home / "tokenizer").mkdir(exist_ok=True)
        shutil.copyfile(vocabulary, home / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz")
        for name in LICENCES:
            (home / name).touch()
        with torch.no_grad():
            images = Images(model, interpolate=edge != 224)
            export(images, torch.randn(2, 3, edge, edge), home / SUBFOLDER / "visual.onnx")
            ids = torch.tensor([[49406, 320, 1929, 49407] + [0] * 73])
            export(Texts(model), ids, home / SUBFOLDER / "textual.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:])
