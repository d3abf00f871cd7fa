"""The loop of many a tutorial: one picture at a time through transformers. MODEL and files in,
pictures and seconds out, the loading of the model left out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel


def main(model_folder: str, folder: str, count: str) -> None:
    files = sorted(Path(folder).iterdir())[: int(count)]
    model = CLIPModel.from_pretrained(model_folder).eval()
    processor = CLIPImageProcessor.from_pretrained(model_folder)
    started = time.perf_counter()
    for file in files:
        inputs = processor(images=Image.open(file).convert("RGB"), return_tensors="pt")
        with torch.no_grad():
            model.get_image_features(**inputs)
    seconds = time.perf_counter() - started
    print(json.dumps({"pictures": len(files), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
