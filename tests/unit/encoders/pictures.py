"""Nothing in, encoded pictures out: drawn ones, and photographs where there are some."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from tests.shared import SHARED


def _photo_like(seed: int, width: int, height: int) -> Image.Image:
    """Light, edges and grain: a few blurred fields, hard shapes and noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    light = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    shapes = np.asarray(light).copy()
    for _ in range(12):
        left, top = random.integers(0, width), random.integers(0, height)
        wide, high = random.integers(8, width // 3), random.integers(8, height // 3)
        shapes[top : top + high, left : left + wide] = random.integers(0, 256, 3, dtype=np.uint8)
    soft = Image.fromarray(shapes).filter(ImageFilter.GaussianBlur(1.2))
    grain = random.normal(0, 5, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))


def _encoded(picture: Image.Image, format: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **({"quality": 92} if format == "JPEG" else {}))
    return out.getvalue()


def ordinary(formats: tuple[str, ...] = ("PNG", "JPEG")) -> dict[str, bytes]:
    """Pictures not much larger than 224 pixels; JPEGs are decoded whole for models of that size."""
    sizes = [(400, 300), (300, 410), (330, 330), (224, 224), (260, 420)]
    found = {}
    for number, size in enumerate(sizes):
        format = formats[number % len(formats)]
        found[f"drawn-{number}.{format.lower()}"] = _encoded(_photo_like(number, *size), format)
    return found


def large() -> dict[str, bytes]:
    """JPEGs of many pixels: drawn ones of 4 megapixels, and photographs if there are any."""
    found = {f"large-{s}.jpg": _encoded(_photo_like(s, 2400, 1700), "JPEG") for s in (20, 21, 22)}
    for name in ("Landscape_6.jpg", "Portrait_3.jpg"):
        path = SHARED / "pictures" / "exif-orientation" / name
        if path.is_file():
            found[name] = path.read_bytes()
    return found
