"""sentence-transformers with a CLIP model, batches of 32. MODEL and files in, pictures and seconds
out, the loading of the model left out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import CLIPModel


def main(model_folder: str, folder: str, count: str) -> None:
    files = sorted(Path(folder).iterdir())[: int(count)]
    model = SentenceTransformer(modules=[CLIPModel(model_folder)], device="cpu")
    started = time.perf_counter()
    for at in range(0, len(files), 32):
        pictures = [Image.open(file) for file in files[at : at + 32]]
        model.encode(pictures, batch_size=32, show_progress_bar=False)
    seconds = time.perf_counter() - started
    print(json.dumps({"pictures": len(files), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
