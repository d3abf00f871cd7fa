"""infinity-emb's engine in this process, all pictures at once, batches of 32. MODEL and files in,
pictures and seconds out, the loading of the model left out."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from infinity_emb import AsyncEmbeddingEngine, EngineArgs
from PIL import Image


async def main(model_folder: str, folder: str, count: str) -> None:
    files = sorted(Path(folder).iterdir())[: int(count)]
    engine = AsyncEmbeddingEngine.from_args(
        EngineArgs(
            model_name_or_path=model_folder,
            engine="torch",
            device="cpu",
            batch_size=32,
            bettertransformer=False,
            model_warmup=False,
        )
    )
    async with engine:
        started = time.perf_counter()
        for at in range(0, len(files), 128):
            pictures = [Image.open(file).convert("RGB") for file in files[at : at + 128]]
            await engine.image_embed(images=pictures)
        seconds = time.perf_counter() - started
    print(json.dumps({"pictures": len(files), "seconds": seconds}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
