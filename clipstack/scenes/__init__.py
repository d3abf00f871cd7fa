"""Takes a seed, gives described pictures of simple shapes: scenes, their images and captions.

A scene is one combination of seven attributes (shape, colour, count, size, position, texture,
background). It can be drawn any number of times and captioned in varied words. The combinations
are split for good into those a model may train on and those it never sees before it is measured.
"""

from clipstack.scenes.scene import (
    ATTRIBUTES,
    Scene,
    combinations,
    demo_scenes,
    held_out,
    held_out_scenes,
    trained,
)
from clipstack.scenes.wording import WORDS, describe

__all__ = [
    "ATTRIBUTES",
    "WORDS",
    "Scene",
    "combinations",
    "demo_scenes",
    "describe",
    "held_out",
    "held_out_scenes",
    "trained",
]
