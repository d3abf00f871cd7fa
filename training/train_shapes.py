"""Trains the small CLIP model `shapes` on drawn scenes, and measures a saved one.

    python training/train_shapes.py --out FOLDER [--steps N]
    python training/train_shapes.py --evaluate FOLDER

Training draws its pictures first, in worker processes, and then learns on the CPU. The folder it
writes loads with `CLIPModel`, `AutoTokenizer` and `AutoProcessor` of transformers like that of any
other CLIP model. Measuring loads it the same way and uses scenes that are held out of training.
"""

import argparse
import json
import math
import multiprocessing
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from evaluation import evaluate
from PIL import Image
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
)

from clipstack.scenes import (
    ATTRIBUTES,
    Scene,
    combinations,
    trained,
)

IMAGE_SIZE = 64
PATCH_SIZE = 8
WIDTH = 128
TEXT_LENGTH = 32
BATCH = 64
DRAWN_SIZE = 128
DRAWINGS_PER_SCENE = 2
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
# What is learned last and slowest weighs more than the other attributes, and the first steps show
# nothing but large shapes without a texture, for the sake of their outlines.
NAMING_WEIGHTS = {"shape": 3.0, "count": 2.0, "texture": 2.0}
NAMING_SCALE = 20.0
EASY_STEPS = 350
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

# The end token must not have number 2: with that number transformers takes a text's vector from
# the token with the highest number instead of from the end token.
PAD, UNKNOWN, START, END = SPECIAL_TOKENS = ("<pad>", "<unk>", "<start>", "<end>")

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


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that knows the words of the captions; any other word is the unknown token."""
    rng = random.Random(0)
    words: set[str] = set()
    for scene in combinations():
        names = rng.sample(sorted(ATTRIBUTES), rng.randint(1, len(ATTRIBUTES)))
        words.update(scene.partial_caption(rng, names).replace(",", " ").split())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL_TOKENS, *sorted(words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w]+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(token, vocabulary[token]) for token in (START, END)],
    )
    assert vocabulary[END] != 2, "see SPECIAL_TOKENS"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        model_max_length=TEXT_LENGTH,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """The model with random weights."""
    width = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={
            **width,
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": TEXT_LENGTH,
            "projection_dim": WIDTH,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            **width,
            "num_hidden_layers": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "projection_dim": WIDTH,
        },
        projection_dim=WIDTH,
    )
    model = CLIPModel(config)
    # Starting from places that are already told apart, the model learns position and shape several
    # times faster than from the small random numbers transformers puts there.
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding.weight[1:] = place_vectors()
    return model


def place_vectors() -> torch.Tensor:
    """One vector per patch of a picture (patches, width): waves along its column and its row."""
    side = IMAGE_SIZE // PATCH_SIZE
    frequencies = 64 ** -torch.linspace(0, 1, WIDTH // 4)
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return 0.3 * torch.cat([columns, rows], dim=2).reshape(side * side, WIDTH)


def draw_chunk(task: tuple[int, Sequence[Scene]]) -> np.ndarray:
    """One small picture per scene, as bytes (scenes, 64, 64, 3); the task names the seed."""
    seed, scenes = task
    rng = random.Random(seed)
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.stack(
        [
            np.asarray(scene.draw(rng, DRAWN_SIZE).resize(size, Image.Resampling.BICUBIC))
            for scene in scenes
        ]
    )


def draw_all(scenes: Sequence[Scene], seed: int) -> torch.Tensor:
    """One small picture per scene, as a byte tensor (scenes, 64, 64, 3)."""
    tasks = [
        (seed * 1_000_003 + start, scenes[start : start + 256])
        for start in range(0, len(scenes), 256)
    ]
    with multiprocessing.get_context("spawn").Pool() as pool:
        return torch.from_numpy(np.concatenate(list(pool.imap(draw_chunk, tasks))))


def normalise(pictures: torch.Tensor) -> torch.Tensor:
    """Byte pictures (n, 64, 64, 3) as pixel values (n, 3, 64, 64), each shifted and relit a bit."""
    count = len(pictures)
    pixels = pictures.permute(0, 3, 1, 2).float() / 255
    padded = functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    for i, (x, y) in enumerate(torch.randint(0, 5, (count, 2)).tolist()):
        pixels[i] = padded[i, :, y : y + IMAGE_SIZE, x : x + IMAGE_SIZE]
    contrast = torch.empty(count, 1, 1, 1).uniform_(0.9, 1.1)
    brightness = torch.empty(count, 1, 1, 1).uniform_(-0.06, 0.06)
    pixels = ((pixels - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    return (pixels - mean) / torch.tensor(DEVIATION).view(1, 3, 1, 1)


def foreground(pixels: torch.Tensor) -> torch.Tensor:
    """The share of a picture's shapes that lies in each of its patches (pictures, patches)."""
    background = pixels.flatten(2).median(dim=2).values[:, :, None, None]
    differs = ((pixels - background).abs().amax(1, keepdim=True) > 0.8).float()
    shares = functional.avg_pool2d(differs, PATCH_SIZE).flatten(1) + 1e-6
    return shares / shares.sum(1, keepdim=True)


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
    own = torch.cat([codes, codes])
    differs = (own[:, None] != codes[None]) & named[:, None]
    right = (~differs.any(dim=2)).float()
    of_texts = -(right / right.sum(1, keepdim=True) * similarity.log_softmax(1)).sum(1)
    full = right[:count]
    of_pictures = -(full / full.sum(0) * similarity[:count].log_softmax(0)).sum(0)
    return of_texts[:count].mean() + 2 * of_texts[count:].mean() + of_pictures.mean()


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
    codes = torch.tensor(
        [[ATTRIBUTES[n].index(v) for n, v in scene.attributes.items()] for scene in scenes]
    )
    print(f"{len(pictures)} pictures drawn after {time.monotonic() - began:.0f} s", flush=True)

    # Only for training: naming each attribute from the picture's vector, and from the mean of the
    # patches that show shapes, makes learning much faster. The vector is compared by its angle
    # alone, as in a search, so that each value gets a direction in which it comes first.
    vector_heads = torch.nn.ModuleList(
        torch.nn.Linear(WIDTH, len(values), bias=False) for values in ATTRIBUTES.values()
    )
    patch_heads = torch.nn.ModuleList(
        torch.nn.Linear(WIDTH, len(values)) for values in ATTRIBUTES.values()
    )
    weights = [*model.parameters(), *vector_heads.parameters(), *patch_heads.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
    )
    naming_weights = torch.tensor([NAMING_WEIGHTS.get(name, 1.0) for name in ATTRIBUTES])
    model.train()
    easy = [scene.matches(size="large", texture="solid") for scene in scenes]
    allowed = torch.tensor(easy).nonzero().flatten()
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        rate = min(1.0, (step + 1) / WARM_UP_STEPS)
        rate *= 0.5 + 0.5 * math.cos(math.pi * step / steps)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate
        if step == EASY_STEPS:
            allowed = torch.arange(len(scenes))
            order = torch.empty(0, dtype=torch.long)
        if len(order) < BATCH:
            order = allowed[torch.randperm(len(allowed))]
        chosen, order = order[:BATCH], order[BATCH:]
        texts, named = write_texts([scenes[i] for i in chosen.tolist()], rng)
        tokens = tokenizer(
            texts, padding=True, truncation=True, max_length=TEXT_LENGTH, return_tensors="pt"
        )
        pixels = normalise(pictures[chosen])
        result = model(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=pixels,
        )
        loss = contrastive_loss(result.logits_per_text, codes[chosen], named)
        patches = result.vision_model_output.last_hidden_state[:, 1:]
        patches = (foreground(pixels)[:, :, None] * patches).sum(1)
        vectors = NAMING_SCALE * result.image_embeds
        naming = torch.stack(
            [
                functional.cross_entropy(vectors @ functional.normalize(of_vector.weight).T, code)
                + functional.cross_entropy(of_patches(patches), code)
                for of_vector, of_patches, code in zip(
                    vector_heads, patch_heads, codes[chosen].T, strict=True
                )
            ]
        )
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


def save(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the folder that transformers loads."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors makes it readable by its owner only
    tokenizer.save_pretrained(out)
    # A name that versions 4 and 5 of transformers both know.
    settings_file = out / "tokenizer_config.json"
    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings_file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": IMAGE_SIZE},
        "resample": int(Image.Resampling.BICUBIC),
        "do_center_crop": True,
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(DEVIATION),
    }
    (out / "preprocessor_config.json").write_text(
        json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8"
    )


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
