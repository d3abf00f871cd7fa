"""A number and a size in, a folder of that many photographs out: unlike crops of real ones.

The originals are the public-domain and CC0 photographs that come with scikit-image: an astronaut,
a cup of coffee, a cat, a motorcycle, a rocket, a deep field, a retina and others. Each picture is
another crop of one of them, turned, scaled, changed in its colours and encoded at another quality.
"""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

NAMES = (
    *("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg"),
    *("motorcycle_right.png", "hubble_deep_field.jpg", "retina.jpg", "ihc.png"),
)


def make(folder: Path, count: int, size: tuple[int, int], seed: int = 0) -> list[Path]:
    """Write `count` JPEGs of about `size` (width, height) pixels; those that are there stay."""
    import skimage

    folder.mkdir(parents=True, exist_ok=True)
    home = Path(skimage.__file__).parent / "data"
    originals = [Image.open(home / name).convert("RGB") for name in NAMES]
    made = []
    for number in range(count):
        path = folder / f"photo-{number:06d}.jpg"
        made.append(path)
        if path.exists():
            continue
        chance = random.Random(f"{seed}-{number}")
        picture = _crop(originals[number % len(originals)], size, chance)
        picture.save(path, quality=chance.randint(78, 94), subsampling=chance.choice([0, 2, 2]))
    return made


def _crop(original: Image.Image, size: tuple[int, int], chance: random.Random) -> Image.Image:
    width, height = size if chance.random() < 0.7 else size[::-1]
    width = round(width * chance.uniform(0.9, 1.1))
    height = round(height * chance.uniform(0.9, 1.1))
    scale = min(original.width / width, original.height / height) * chance.uniform(0.35, 1)
    box = (max(8, int(width * scale)), max(8, int(height * scale)))
    left = chance.randint(0, max(0, original.width - box[0]))
    top = chance.randint(0, max(0, original.height - box[1]))
    picture = original.resize(
        (width, height), Image.Resampling.BICUBIC, (left, top, left + box[0], top + box[1])
    )
    if chance.random() < 0.5:
        picture = ImageOps.mirror(picture)
    picture = ImageEnhance.Color(picture).enhance(chance.uniform(0.5, 1.5))
    return ImageEnhance.Brightness(picture).enhance(chance.uniform(0.8, 1.2))
