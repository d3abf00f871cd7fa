"""Trains the small CLIP model `shapes` on drawn scenes, and measures a saved one.

    python training/train_shapes.py --out FOLDER [--steps N]
    python training/train_shapes.py --evaluate FOLDER

Training draws its pictures first, in worker processes, and then learns on the CPU. The folder it
writes loads with `CLIPModel`, `AutoTokenizer` and `AutoProcessor` of transformers like that of any
other CLIP model. Measuring loads it the same way and uses scenes that are held out of training.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from drawings import draw_all, foreground, normalise
from evaluation import evaluate
from shapes_model import (
    IMAGE_SIZE,
    TEXT_LENGTH,
    UNKNOWN,
    WIDTH,
    build_model,
    build_tokenizer,
    save,
)
from torch.nn import functional
from transformers import CLIPModel, PreTrainedTokenizerFast
from transformers.models.clip.modeling_clip import CLIPOutput

from clipstack.scenes import ATTRIBUTES, Scene, trained

BATCH = 64
DRAWINGS_PER_SCENE = 2
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
# What is learned last and slowest weighs more than the other attributes, and the first steps show
# nothing but large shapes without a texture, for the sake of their outlines.
NAMING_WEIGHTS = {"shape": 3.0, "count": 2.0, "texture": 2.0}
NAMING_SCALE = 20.0
EASY_STEPS = 350

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: zero-shot-image-classification
---

# shapes

A CLIP model of {parameters:.1f} million parameters for drawn scenes: one to four equal shapes on a
plain background. It knows nothing else; it is there to test and demonstrate search by text without
a download. Pictures are read at {size} x {size} pixels, texts are up to {length} tokens long,
letters in either case; words it does not know are passed over.

It knows these words and a few synonyms:

{attributes}

## Training

`training/train_shapes.py` of clipstack, from random weights, in {steps} steps of {batch} pictures
on a CPU, seed {seed}. Pictures and texts come from `clipstack.scenes`. One in ten combinations of
the attributes is held out of training.

## Measured

Each run draws 200 different held-out scenes and captions each once, and searches the 200 pictures
with each caption. Precision is that of short queries over 500 random scenes.

{figures}
"""


def write_texts(scenes: Sequence[Scene], rng: random.Random) -> tuple[list[str], torch.Tensor]:
    """A full and a partial caption of each scene, and which attributes each of them names.

    Gives two texts per scene, all full captions first, and booleans (texts, attributes).
    """
    names = list(ATTRIBUTES)
    texts = [scene.caption(rng) for scene in scenes]
    named = [[True] * len(names) for _ in scenes]
    for scene in scenes:
        chosen = set(rng.sample(names, rng.choice((1, 1, 2, 2, 2, 3))))
        texts.append(scene.partial_caption(rng, [name for name in names if name in chosen]))
        named.append([name in chosen for name in names])
    for i, text in enumerate(texts):
        if rng.random() < 0.1:
            words = text.split()
            words.insert(rng.randint(0, len(words)), UNKNOWN)
            texts[i] = " ".join(words)
    return texts, torch.tensor(named)


def contrastive_loss(
    similarity: torch.Tensor, codes: torch.Tensor, named: torch.Tensor
) -> torch.Tensor:
    """How far the similarities (texts, pictures) are from the right pairs.

    A text belongs to every picture that has all the attributes it names, not only to the one it
    was written for. Takes the attribute codes (pictures, attributes) and which of them each text
    names (texts, attributes); text i and text i + pictures were written for picture i.
    """
    count = len(codes)
    text_codes = torch.cat([codes, codes])
    differs = (text_codes[:, None] != codes[None]) & named[:, None]
    right = (~differs.any(dim=2)).float()
    of_texts = -(right / right.sum(1, keepdim=True) * similarity.log_softmax(1)).sum(1)
    full = right[:count]
    of_pictures = -(full / full.sum(0) * similarity[:count].log_softmax(0)).sum(0)
    return of_texts[:count].mean() + 2 * of_texts[count:].mean() + of_pictures.mean()


class NamingHeads(torch.nn.Module):
    """Only for training: names each attribute from a picture's vector and from its patches.

    It makes learning much faster. The vector is compared by its angle alone, as in a search, so
    that each value gets a direction in which it comes first; of the patches the mean of those
    that show shapes is taken.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = [len(values) for values in ATTRIBUTES.values()]
        self.of_vector = torch.nn.ModuleList(
            torch.nn.Linear(WIDTH, size, bias=False) for size in sizes
        )
        self.of_patches = torch.nn.ModuleList(torch.nn.Linear(WIDTH, size) for size in sizes)

    def forward(
        self, output: CLIPOutput, pixels: torch.Tensor, codes: torch.Tensor
    ) -> torch.Tensor:
        """The loss of each attribute (attributes) for pictures with these codes."""
        patches = output.vision_model_output.last_hidden_state[:, 1:]
        patches = (foreground(pixels)[:, :, None] * patches).sum(1)
        vectors = NAMING_SCALE * output.image_embeds
        return torch.stack(
            [
                functional.cross_entropy(vectors @ functional.normalize(of_vector.weight).T, code)
                + functional.cross_entropy(of_patches(patches), code)
                for of_vector, of_patches, code in zip(
                    self.of_vector, self.of_patches, codes.T, strict=True
                )
            ]
        )


def new_optimizer(weights: Sequence[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW that decays matrices only."""
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))


def learning_rate(step: int, steps: int) -> float:
    """A linear warm-up, and half a cosine down to 0."""
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return LEARNING_RATE * (warm_up * (0.5 + 0.5 * math.cos(math.pi * step / steps)))


def batches(scenes: Sequence[Scene], steps: int) -> Iterator[torch.Tensor]:
    """The numbers of the scenes of each step, shuffled; easy ones first."""
    easy = [scene.matches(size="large", texture="solid") for scene in scenes]
    allowed = torch.tensor(easy).nonzero().flatten()
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if step == EASY_STEPS:
            allowed = torch.arange(len(scenes))
            order = torch.empty(0, dtype=torch.long)
        if len(order) < BATCH:
            order = allowed[torch.randperm(len(allowed))]
        yield order[:BATCH]
        order = order[BATCH:]


def learn(
    model: CLIPModel,
    tokenizer: PreTrainedTokenizerFast,
    scenes: Sequence[Scene],
    pictures: torch.Tensor,
    steps: int,
    rng: random.Random,
) -> None:
    """Train the model on the scenes and their pictures (scenes, 64, 64, 3)."""
    began = time.monotonic()
    codes = torch.tensor(
        [[ATTRIBUTES[n].index(v) for n, v in scene.attributes.items()] for scene in scenes]
    )
    heads = NamingHeads()
    weights = [*model.parameters(), *heads.parameters()]
    optimizer = new_optimizer(weights)
    naming_weights = torch.tensor([NAMING_WEIGHTS.get(name, 1.0) for name in ATTRIBUTES])
    model.train()
    for step, chosen in enumerate(batches(scenes, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        texts, named = write_texts([scenes[i] for i in chosen.tolist()], rng)
        tokens = tokenizer(
            texts, padding=True, truncation=True, max_length=TEXT_LENGTH, return_tensors="pt"
        )
        pixels = normalise(pictures[chosen])
        inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        output = model(**inputs, pixel_values=pixels)
        loss = contrastive_loss(output.logits_per_text, codes[chosen], named)
        naming = heads(output, pixels, codes[chosen])
        optimizer.zero_grad()
        (loss + naming_weights @ naming).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
        if step % 50 == 49:
            print(
                f"step {step + 1}: loss {loss.item():.3f}, naming "
                + " ".join(f"{value:.2f}" for value in naming.tolist())
                + f", scale {model.logit_scale.exp().item():.1f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )


def train(out: Path, steps: int, seed: int) -> None:
    """Train from random weights and write the model's folder."""
    began = time.monotonic()
    random.seed(seed)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {len(tokenizer)} tokens")
    scenes = list(trained()) * DRAWINGS_PER_SCENE
    pictures = draw_all(scenes, seed)
    print(f"{len(pictures)} pictures drawn after {time.monotonic() - began:.0f} s", flush=True)
    learn(model, tokenizer, scenes, pictures, steps, rng)
    save(model, tokenizer, out)
    figures = evaluate(out)
    attributes = "\n".join(f"- {name}: {', '.join(v)}" for name, v in ATTRIBUTES.items())
    card = CARD.format(
        parameters=parameters / 1e6,
        size=IMAGE_SIZE,
        length=TEXT_LENGTH,
        attributes=attributes,
        steps=steps,
        batch=BATCH,
        seed=seed,
        figures="\n".join(f"- {line}" for line in figures),
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    print(f"trained and measured in {time.monotonic() - began:.0f} s")


def main() -> None:
    """Read the command line and train or measure."""
    parser = argparse.ArgumentParser(description="Train or measure the small CLIP model `shapes`.")
    parser.add_argument("--out", type=Path, help="train, and write the model to this folder")
    parser.add_argument("--evaluate", type=Path, metavar="FOLDER", help="measure a saved model")
    parser.add_argument("--steps", type=int, default=2800, help="training steps (default 2800)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    arguments = parser.parse_args()
    if (arguments.out is None) == (arguments.evaluate is None):
        parser.error("give one of --out and --evaluate")
    if arguments.evaluate is not None:
        evaluate(arguments.evaluate)
    else:
        train(arguments.out, arguments.steps, arguments.seed)


if __name__ == "__main__":
    main()
