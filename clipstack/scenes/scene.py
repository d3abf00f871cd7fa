"""Takes attribute values or a seed, gives scenes: which exist, which are held out, a selection."""

import itertools
import random
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache

from PIL import Image

from clipstack.scenes.drawing import draw_scene
from clipstack.scenes.wording import describe

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "heart", "ring", "cross"),
    "colour": ("red", "green", "blue", "yellow", "purple"),
    "count": ("one", "two", "three", "four"),
    "size": ("small", "large"),
    "position": ("centre", "left", "right", "top", "bottom"),
    "texture": ("solid", "striped", "dotted", "checked"),
    "background": ("white", "black", "blue", "pink"),
}
"""Every attribute's name and the values it takes, in the order of the fields of `Scene`."""

_HELD_OUT_EVERY = 10


@dataclass(frozen=True, order=True)
class Scene:
    """One to four equal shapes, grouped at one position of a plain background.

    Every field holds one of the values that `ATTRIBUTES` lists for it; anything else, and a
    colour equal to the background, raises ValueError.
    """

    shape: str
    colour: str
    count: str
    size: str
    position: str
    texture: str
    background: str

    def __post_init__(self) -> None:
        for attribute, value in self.attributes.items():
            if value not in ATTRIBUTES[attribute]:
                known = ", ".join(ATTRIBUTES[attribute])
                raise ValueError(f"{attribute} is {value!r}; it must be one of: {known}")
        if self.colour == self.background:
            raise ValueError(
                f"{self.colour} shapes cannot be seen on a {self.background} background"
            )

    @property
    def attributes(self) -> dict[str, str]:
        """The attribute values by attribute name."""
        return asdict(self)

    @property
    def name(self) -> str:
        """A name unique to the combination and fit for a file, e.g. "two-small-red-..."."""
        shapes = f"{self.count}-{self.size}-{self.colour}-{self.texture}-{self.shape}"
        return f"{shapes}-{self.position}-on-{self.background}"

    def matches(self, **attributes: str) -> bool:
        """Whether the scene has all the given values, e.g. `matches(shape="star", count="two")`.

        Raises KeyError for the name of an attribute that does not exist.
        """
        own = self.attributes
        return all(own[attribute] == value for attribute, value in attributes.items())

    def draw(self, rng: random.Random, size: int = 256) -> Image.Image:
        """Draw the scene; place, shade and rotation vary with `rng`.

        Takes the random generator and the side length in pixels, at least 16; gives a square
        RGB image. The same generator state gives the same picture. Raises ValueError for a
        smaller size.
        """
        return draw_scene(self.attributes, rng, size)

    def caption(self, rng: random.Random) -> str:
        """A description in varied words that names all seven attributes."""
        return describe(self.attributes, rng)

    def partial_caption(self, rng: random.Random, names: Iterable[str]) -> str:
        """A description in varied words that names only the attributes in `names`.

        Without "count" in `names` singular or plural says nothing about the number of shapes.
        Raises ValueError if `names` is empty and KeyError for an attribute that does not exist.
        """
        own = self.attributes
        return describe({name: own[name] for name in names}, rng)


@cache
def combinations() -> tuple[Scene, ...]:
    """All scenes there are, in a fixed order."""
    return tuple(
        Scene(*values)
        for values in itertools.product(*ATTRIBUTES.values())
        if values[1] != values[6]
    )


def _is_held_out(scene: Scene) -> bool:
    # A checksum of the name, so that the split never depends on a random generator's version.
    return zlib.crc32(scene.name.encode()) % _HELD_OUT_EVERY == 0


@cache
def held_out() -> tuple[Scene, ...]:
    """About a tenth of `combinations()`: the scenes that no model trains on."""
    return tuple(scene for scene in combinations() if _is_held_out(scene))


@cache
def trained() -> tuple[Scene, ...]:
    """The scenes a model may train on: `combinations()` without `held_out()`."""
    return tuple(scene for scene in combinations() if not _is_held_out(scene))


def held_out_scenes(count: int, seed: int = 0) -> list[Scene]:
    """`count` different held-out scenes, chosen at random; the same seed gives the same list.

    Raises ValueError if there are fewer than `count`.
    """
    if not 0 <= count <= len(held_out()):
        raise ValueError(f"{count} scenes asked for; there are {len(held_out())} held-out ones")
    return random.Random(seed).sample(held_out(), count)


def demo_scenes(count: int, seed: int = 0) -> list[Scene]:
    """`count` different held-out scenes in which all shapes and colours take turns.

    The first 35 show every pair of shape and colour once. The same seed gives the same list,
    and a shorter list is the beginning of a longer one. Raises ValueError if there are fewer
    than `count`.
    """
    shuffled = held_out_scenes(len(held_out()), seed)
    if not 0 <= count <= len(shuffled):
        raise ValueError(f"{count} scenes asked for; there are {len(shuffled)} held-out ones")
    turns: dict[tuple[str, str], int] = {}
    order: list[tuple[int, int, Scene]] = []
    shapes, colours = ATTRIBUTES["shape"], ATTRIBUTES["colour"]
    for scene in shuffled:
        pair = (scene.shape, scene.colour)
        shape, colour = shapes.index(scene.shape), colours.index(scene.colour)
        # Both numbers step by one from each scene to the next: 7 and 5 have no common factor,
        # so position p in a turn is the only one with p % 7 == shape and p % 5 == colour.
        place = (15 * shape + 21 * colour) % (len(shapes) * len(colours))
        order.append((turns.get(pair, 0), place, scene))
        turns[pair] = turns.get(pair, 0) + 1
    return [scene for _, _, scene in sorted(order)[:count]]
