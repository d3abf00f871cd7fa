"""A saved model's folder in, how well it finds scenes by their captions out."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
from transformers.modeling_outputs import BaseModelOutputWithPooling

from clipstack.scenes import ATTRIBUTES, Scene, combinations, describe, held_out_scenes


class Encoder:
    """A saved model, loaded as any other CLIP model is."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModel.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors (texts, dimensions)."""
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        output = self.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
        return self._unit(output)

    @torch.no_grad()
    def scenes(self, scenes: Sequence[Scene], rng: random.Random) -> torch.Tensor:
        """Unit vectors (scenes, dimensions) of the scenes, drawn and saved as PNG."""
        vectors = []
        for scene in scenes:
            file = io.BytesIO()
            scene.draw(rng).save(file, "PNG")
            pixels = self.processor(images=Image.open(file), return_tensors="pt")["pixel_values"]
            vectors.append(self._unit(self.model.get_image_features(pixel_values=pixels)))
        return torch.cat(vectors)

    @staticmethod
    def _unit(output: BaseModelOutputWithPooling) -> torch.Tensor:
        # The field holds the projected vectors: they must not be projected again.
        return functional.normalize(output.pooler_output, dim=-1)


def recall(encoder: Encoder, seed: int, count: int = 200) -> tuple[float, float]:
    """The share of captions whose scene ranks first, and in the first five, of `count`."""
    rng = random.Random(seed)
    scenes = held_out_scenes(count, seed)
    pictures = encoder.scenes(scenes, rng)
    similarity = encoder.texts([scene.caption(rng) for scene in scenes]) @ pictures.T
    rank = (similarity > similarity.diagonal()[:, None]).sum(1)
    return (rank < 1).float().mean().item(), (rank < 5).float().mean().item()


def precision(encoder: Encoder, seed: int, count: int = 500) -> dict[str, tuple[float, float]]:
    """Mean and least precision at ten by kind of query, over `count` random scenes.

    For a query that fewer than ten scenes answer, precision is taken at their number.
    """
    rng = random.Random(seed)
    scenes = rng.sample(combinations(), count)
    pictures = encoder.scenes(scenes, rng)
    kinds = {name: [{name: value} for value in values] for name, values in ATTRIBUTES.items()}
    for pair in (("shape", "colour"), ("shape", "count"), ("colour", "texture")):
        kinds[" and ".join(pair)] = [
            {pair[0]: first, pair[1]: second}
            for first in ATTRIBUTES[pair[0]]
            for second in ATTRIBUTES[pair[1]]
        ]
    measured = {}
    for kind, queries in kinds.items():
        shares = []
        for query in queries:
            right = torch.tensor([scene.matches(**query) for scene in scenes])
            depth = min(10, int(right.sum()))
            if depth:
                texts = [describe(query, rng) for _ in range(5)]
                first = (encoder.texts(texts) @ pictures.T).topk(depth).indices
                shares += right[first].float().mean(1).tolist()
        measured[kind] = (sum(shares) / len(shares), min(shares))
    return measured


def evaluate(folder: Path) -> list[str]:
    """Measure the model in `folder` on held-out scenes; print and return the figures."""
    encoder = Encoder(folder)
    lines = []
    for seed in range(5):
        first, five = recall(encoder, seed)
        lines.append(f"run {seed}: right scene first {first:.3f}, in the first five {five:.3f}")
        print(lines[-1], flush=True)
    for kind, (mean, least) in precision(encoder, seed=0).items():
        lines.append(f"precision at 10 by {kind}: mean {mean:.3f}, lowest {least:.2f}")
        print(lines[-1], flush=True)
    return lines
