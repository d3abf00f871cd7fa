"""Every form of a query on pictures of scenes, and which scenes are right for each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import ClipstackError
from clipstack.index.schema import row_id
from clipstack.scenes import ATTRIBUTES, Scene, demo_scenes
from clipstack.search.query import Query, Term
from clipstack.search.searcher import Searcher

SHAPES, COLOURS = ATTRIBUTES["shape"], ATTRIBUTES["colour"]


@dataclass(frozen=True)
class Case:
    """A query, and whether a scene is what it means."""

    query: Query
    right: Callable[[Scene], bool]


def draw(folder: Path, count: int) -> dict[str, Scene]:
    """`count` pictures of scenes, in a folder for each colour; by their paths, the scenes."""
    drawn = {}
    for number, scene in enumerate(demo_scenes(count)):
        path = folder / scene.colour / f"{scene.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene.draw(random.Random(number), 64).save(path)
        drawn[str(path)] = scene
    return drawn


def precision(
    searcher: Searcher, cases: Sequence[Case], scenes: dict[str, Scene], limit: int = 10
) -> float:
    """The share of right ones among the first `limit` hits of all cases."""
    right = 0
    for case, found in zip(
        cases, searcher.search_all([case.query for case in cases], limit=limit), strict=True
    ):
        assert not isinstance(found, ClipstackError), found
        assert len(found.hits) == limit
        right += sum(case.right(scenes[hit.path]) for hit in found.hits)
    return right / (limit * len(cases))


def _pairs() -> Iterator[tuple[str, str]]:
    return ((shape, colour) for shape in SHAPES for colour in COLOURS)


def _some(scenes: dict[str, Scene], **like: str) -> list[tuple[str, Scene]]:
    """Three of the scenes that have these attributes, and their paths."""
    fit = [(path, scene) for path, scene in scenes.items() if scene.matches(**like)]
    return random.Random(str(like)).sample(fit, 3)


def texts(prompt: str = "none") -> list[Case]:
    """One text, of a shape and a colour."""
    return [
        Case(
            Query((Term(f"{colour} {shape}"),), prompt=prompt),
            lambda scene, s=shape, c=colour: scene.matches(shape=s, colour=c),
        )
        for shape, colour in _pairs()
    ]


def added() -> list[Case]:
    """ "circle" and "red"."""
    return [
        Case(
            Query((Term(shape), Term(colour))),
            lambda scene, s=shape, c=colour: scene.matches(shape=s, colour=c),
        )
        for shape, colour in _pairs()
    ]


def subtracted() -> list[Case]:
    """ "circle" minus "red"."""
    return [
        Case(
            Query((Term(shape), Term(colour, weight=-1))),
            lambda scene, s=shape, c=colour: scene.shape == s and scene.colour != c,
        )
        for shape, colour in _pairs()
    ]


def near_a_picture(scenes: dict[str, Scene], weight: float) -> list[Case]:
    """ "star" near a picture of something else on blue: stars."""
    return [
        Case(
            Query((Term(shape), Term(image=Path(path), weight=weight))),
            lambda found, s=shape: found.shape == s,
        )
        for shape in SHAPES
        for path, scene in _others(scenes, shape)
    ]


def _others(scenes: dict[str, Scene], shape: str) -> Iterator[tuple[str, Scene]]:
    for background in ATTRIBUTES["background"]:
        for path, scene in _some(scenes, background=background):
            if scene.shape != shape:
                yield path, scene


def same_background(scenes: dict[str, Scene], weight: float) -> list[Case]:
    """The same queries, but right is what has the picture's background too."""
    return [
        Case(
            Query((Term(shape), Term(image=Path(path), weight=weight))),
            lambda found, s=shape, b=scene.background: found.matches(shape=s, background=b),
        )
        for shape in SHAPES
        for path, scene in _others(scenes, shape)
    ]


def said_and_shown(scenes: dict[str, Scene]) -> list[Case]:
    """ "star on a blue background" near a picture of just that."""
    return [
        Case(
            Query((Term(f"{shape} on a {background} background"), Term(image=Path(path)))),
            lambda found, s=shape, b=background: found.matches(shape=s, background=b),
        )
        for shape in SHAPES
        for background in ATTRIBUTES["background"]
        for path, _ in _some(scenes, shape=shape, background=background)
    ]


def without_a_picture(scenes: dict[str, Scene]) -> list[Case]:
    """ "circle" minus a picture of something red: circles that are not red."""
    return [
        Case(
            Query((Term(shape), Term(image=Path(path), weight=-1))),
            lambda found, s=shape, c=colour: found.shape == s and found.colour != c,
        )
        for shape, colour in _pairs()
        for path, scene in _some(scenes, colour=colour)
        if scene.shape != shape
    ]


def another_colour(scenes: dict[str, Scene]) -> list[Case]:
    """Like this row of the collection, but "red"."""
    return [
        Case(
            Query((Term(id=row_id(path)), Term(colour))),
            lambda found, c=colour: found.colour == c,
        )
        for shape in SHAPES
        for path, scene in _some(scenes, shape=shape)
        for colour in COLOURS
        if colour != scene.colour
    ]


def like(scenes: dict[str, Scene]) -> list[Case]:
    """More like this row: the same shape or the same colour, and not the row itself."""
    return [
        Case(
            Query((Term(id=row_id(path)),)),
            lambda found, own=scene: (
                found != own and (found.shape == own.shape or found.colour == own.colour)
            ),
        )
        for shape in SHAPES
        for path, scene in _some(scenes, shape=shape)
    ]
