"""Generated pictures for `clipstack demo`, and searches to try on them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from clipstack.encoders.models.catalog import BUILT_IN
from clipstack.errors import ClipstackError

COLLECTION = "demo"
MODEL = BUILT_IN
TEXTS = ("two red stars", "hearts on black", "a yellow cross on a black background")
_COUNT = 200


@dataclass(frozen=True, slots=True)
class Scenes:
    """The generated files, and one of them to search with."""

    folder: Path
    files: list[Path]
    example: Path


def generate(folder: Path) -> Scenes:
    """Draw 200 scenes, the same ones every time, as PNG files in `folder`; existing files stay.

    Raises:
        ClipstackError: the folder can't be written.
    """
    from clipstack.scenes import demo_scenes

    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for scene in demo_scenes(_COUNT):
            file = folder / f"{scene.name}.png"
            if not file.exists():
                partial = file.with_suffix(".part")
                scene.draw(random.Random(scene.name)).save(partial, "PNG")
                partial.replace(file)
            files.append(file)
    except OSError as error:
        raise ClipstackError(
            f"{folder}: can't be written ({error.strerror or error})",
            hint="Choose another with `clipstack demo FOLDER`.",
        ) from None
    return Scenes(folder, files, files[0])
