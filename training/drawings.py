"""The pictures that `shapes` learns from: scenes drawn in worker processes, and varied a little."""

import multiprocessing
import random
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from shapes_model import DEVIATION, IMAGE_SIZE, MEAN, PATCH_SIZE
from torch.nn import functional

from clipstack.scenes import Scene

DRAWN_SIZE = 128


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
