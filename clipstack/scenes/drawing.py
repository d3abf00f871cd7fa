"""Takes the attribute values of a scene, gives its picture."""

import colorsys
import math
import random
from collections.abc import Mapping
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageOps

Point = tuple[float, float]
Colour = tuple[int, int, int]

_COLOURS: dict[str, Colour] = {
    "red": (222, 42, 40),
    "green": (38, 162, 72),
    "blue": (38, 84, 216),
    "yellow": (246, 206, 40),
    "purple": (142, 60, 186),
}
_BACKGROUNDS: dict[str, Colour] = {
    "white": (250, 250, 248),
    "black": (24, 24, 28),
    "blue": (104, 168, 236),
    "pink": (250, 178, 200),
}
_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4}
# Lengths are fractions of the picture's side; a radius reaches about to a shape's outline.
_RADII = {"small": (0.09, 0.102), "large": (0.133, 0.147)}
_DIRECTIONS = {"centre": (0, 0), "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
_MARGIN = 0.025
_LEAST_SHIFT, _LARGEST_SHIFT = 0.15, 0.27
_SUPERSAMPLING = 3

# Where the shapes of a group lie, in units of the distance between neighbours.
_LAYOUTS: dict[int, tuple[tuple[Point, ...], ...]] = {
    1: (((0, 0),),),
    2: (((-0.5, 0), (0.5, 0)), ((0, -0.5), (0, 0.5))),
    3: (
        ((-1, 0), (0, 0), (1, 0)),
        ((0, -1), (0, 0), (0, 1)),
        ((-0.5, 0.45), (0.5, 0.45), (0, -0.45)),
    ),
    4: (
        ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)),
        ((-1.5, 0), (-0.5, 0), (0.5, 0), (1.5, 0)),
        ((0, -1.5), (0, -0.5), (0, 0.5), (0, 1.5)),
    ),
}


def draw_scene(attributes: Mapping[str, str], rng: random.Random, size: int) -> Image.Image:
    """Draw the scene with these attribute values as a square RGB image of `size` pixels a side.

    Raises ValueError if `size` is below 16 and KeyError for a missing or unknown value.
    """
    if size < 16:
        raise ValueError(f"a picture of {size} pixels a side is too small; 16 is the least")
    side = size * _SUPERSAMPLING
    picture = _background(_vary(_BACKGROUNDS[attributes["background"]], rng), side, rng)
    radius = rng.uniform(*_RADII[attributes["size"]])
    centres = _centres(_COUNTS[attributes["count"]], radius, attributes["position"], rng)
    colour = _vary(_COLOURS[attributes["colour"]], rng)
    edge = _mix(colour, (0, 0, 0), 0.22)
    light = _mix(colour, (255, 255, 255), 0.82)
    pattern = _pattern(attributes["texture"], side, radius * side, rng)
    pen = ImageDraw.Draw(picture)
    for centre in centres:
        turn = math.radians(rng.uniform(-11, 11))
        outlines = [
            _place(outline, centre, radius, turn, side)
            for outline in _outlines(attributes["shape"])
        ]
        mask = Image.new("1", (side, side))
        mask_pen = ImageDraw.Draw(mask)
        # A second outline is the edge of a hole.
        for outline, inside in zip(outlines, (1, 0), strict=False):
            mask_pen.polygon(outline, fill=inside)
        picture.paste(colour, mask=mask)
        if pattern is not None:
            picture.paste(light, mask=ImageChops.logical_and(mask, pattern))
        for outline in outlines:
            closed = [*outline, *outline[:2]]
            pen.line(closed, fill=edge, width=round(0.1 * radius * side), joint="curve")
    return picture.reduce(_SUPERSAMPLING)


def _vary(colour: Colour, rng: random.Random) -> Colour:
    """A shade close to `colour`."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    red, green, blue = colorsys.hsv_to_rgb(
        (hue + rng.uniform(-0.012, 0.012)) % 1.0,
        min(1.0, saturation * rng.uniform(0.9, 1.1)),
        min(1.0, value * rng.uniform(0.92, 1.06)),
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with the given share (0 to 1) of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _background(colour: Colour, side: int, rng: random.Random) -> Image.Image:
    """A square of `side` pixels that passes from `colour` to a slightly darker shade."""
    slope = Image.linear_gradient("L").resize((side, side))
    slope = slope.rotate(rng.choice((0, 90, 180, 270)))
    return ImageOps.colorize(slope, colour, _mix(colour, (0, 0, 0), rng.uniform(0.02, 0.1)))


def _centres(count: int, radius: float, position: str, rng: random.Random) -> list[Point]:
    """Where the shapes' centres lie: a group of `count` shifted towards `position`."""
    distance = radius * rng.uniform(2.22, 2.38)
    across, down = _DIRECTIONS[position]
    fitting = []
    for layout in _LAYOUTS[count]:
        room_x, room_y = (
            0.5 - _MARGIN - radius - distance * max(abs(point[axis]) for point in layout)
            for axis in (0, 1)
        )
        shift = room_x if across else room_y
        if min(room_x, room_y) >= 0 and (position == "centre" or shift >= _LEAST_SHIFT):
            fitting.append((layout, min(shift, _LARGEST_SHIFT)))
    layout, shift = rng.choice(fitting)
    x = 0.5 + across * shift + rng.uniform(-0.02, 0.02)
    y = 0.5 + down * shift + rng.uniform(-0.02, 0.02)
    loose = 0.05 * radius
    return [
        (
            x + distance * dx + rng.uniform(-loose, loose),
            y + distance * dy + rng.uniform(-loose, loose),
        )
        for dx, dy in layout
    ]


def _place(
    outline: list[Point], centre: Point, radius: float, turn: float, side: int
) -> list[Point]:
    """The outline, given around the origin with radius one, in pixels of the picture."""
    cos, sin = math.cos(turn) * radius, math.sin(turn) * radius
    return [
        (side * (centre[0] + x * cos - y * sin), side * (centre[1] + x * sin + y * cos))
        for x, y in outline
    ]


def _arc(radius: float, points: int, start: float = -math.pi / 2) -> list[Point]:
    angles = (start + 2 * math.pi * i / points for i in range(points))
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


@cache
def _outlines(shape: str) -> tuple[list[Point], ...]:
    """The shape's closed outline around the origin, and after it that of its hole, if any."""
    if shape == "circle":
        return (_arc(0.98, 72),)
    if shape == "ring":
        return (_arc(1.04, 72), _arc(0.5, 48))
    if shape == "square":
        return (_arc(1.14, 4, start=math.pi / 4),)
    if shape == "triangle":
        return ([(x, y + 0.2) for x, y in _arc(1.18, 3)],)
    if shape == "star":
        spikes, notches = _arc(1.16, 5), _arc(0.5, 5, start=-math.pi * 0.3)
        return ([point for pair in zip(spikes, notches, strict=True) for point in pair],)
    if shape == "cross":
        near, far = 0.36, 1.02
        arm = [(near, -near), (near, -far), (-near, -far)]
        turned = [arm, *([] for _ in range(3))]
        for i in range(1, 4):
            turned[i] = [(y, -x) for x, y in turned[i - 1]]
        return ([point for part in turned for point in part],)
    if shape == "heart":
        steps = (2 * math.pi * i / 72 for i in range(72))
        return (
            [
                (
                    1.05 * math.sin(t) ** 3,
                    -(
                        13 * math.cos(t)
                        - 5 * math.cos(2 * t)
                        - 2 * math.cos(3 * t)
                        - math.cos(4 * t)
                    )
                    / 15.5,
                )
                for t in steps
            ],
        )
    raise KeyError(shape)


def _pattern(texture: str, side: int, radius: float, rng: random.Random) -> Image.Image | None:
    """A bitmap of `side` pixels, set where the texture is light; nothing for a solid one.

    `radius`, in pixels, is that of the shapes: larger shapes get a coarser texture.
    """
    if texture == "solid":
        return None
    bitmap = Image.new("1", (side, side))
    pen = ImageDraw.Draw(bitmap)
    step = 0.02 * side + 0.4 * radius
    slant = math.radians(rng.uniform(-10, 10)) + (math.pi / 4 if texture == "striped" else 0)
    cos, sin = math.cos(slant), math.sin(slant)
    phase_x, phase_y = rng.random(), rng.random()

    def at(column: float, row: float) -> Point:
        x, y = (column + phase_x) * step, (row + phase_y) * step
        return side / 2 + x * cos - y * sin, side / 2 + x * sin + y * cos

    reach = math.ceil(side / step)
    rows = range(-reach, reach + 1)
    if texture == "striped":
        for row in rows:
            pen.polygon(
                [at(-reach, row), at(reach, row), at(reach, row + 0.5), at(-reach, row + 0.5)], 1
            )
    elif texture == "dotted":
        dot = 0.27 * step
        for row in rows:
            for column in rows:
                x, y = at(column + row % 2 * 0.5, row)
                if 0 < x < side and 0 < y < side:
                    pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=1)
    elif texture == "checked":
        for row in rows:
            for column in rows:
                x, y = at(column, row)
                if (row + column) % 2 == 0 and -step < x < side + step and -step < y < side + step:
                    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
                    pen.polygon([at(column + dx, row + dy) for dx, dy in corners], fill=1)
    else:
        raise KeyError(texture)
    return bitmap
