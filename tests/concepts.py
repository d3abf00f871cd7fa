"""Collections of which it is known what is in them and what is not; queries for both."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipstack.scenes import ATTRIBUTES, Scene, combinations, describe

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """A query and whether what it names is there.

    Attributes:
        vectors: the collection's, float32 [rows, dimension].
        query: float32 [dimension].
        parts: of how many attributes or concepts the query is.
        text: what it says.
    """

    vectors: Floats
    query: Floats
    present: bool
    parts: int
    text: str


class Scenes:
    """Pictures of scenes, drawn and encoded once; collections are chosen from them."""

    def __init__(self, encoder, count: int, seed: int = 1) -> None:
        rng = random.Random(seed)
        self._encoder = encoder
        self.scenes: list[Scene] = rng.sample(combinations(), count)
        pixels = [np.asarray(scene.draw(rng, 64)) for scene in self.scenes]
        self.vectors = np.concatenate(
            [encoder.encode_images(np.stack(pixels[at : at + 128])) for at in range(0, count, 128)]
        )
        self._values = np.array(
            [[ATTRIBUTES[name].index(value) for name, value in scene.attributes.items()]
             for scene in self.scenes]
        )  # fmt: skip

    def _shows(self, rows: npt.NDArray[np.int64], wanted: dict[str, str]) -> npt.NDArray[np.bool_]:
        found = np.ones(len(rows), bool)
        for name, value in wanted.items():
            column = list(ATTRIBUTES).index(name)
            found &= self._values[rows, column] == ATTRIBUTES[name].index(value)
        return found

    def cases(self, collections: int, sizes: tuple[int, ...], seed: int) -> Iterator[Case]:
        """For each collection five concepts that were taken out of it, and five that are in it.

        A fifth of them is one attribute ("stars"), three fifths are two, a fifth three. Of those
        that are not there one of two has that one attribute ("red stars"); all parts of the others
        are there, but not in one picture ("green hearts").
        """
        rng = random.Random(seed)
        for number in range(collections):
            size = sizes[number % len(sizes)]
            rows = np.array(
                rng.sample(range(len(self.scenes)), min(len(self.scenes), 5 * size // 2))
            )
            absent: list[dict[str, str]] = []
            for parts in (1, 2, 3, 2):
                wanted, rows = self._without(rows, size, parts, absent, rng)
                absent.append(wanted)
            rows = rows[:size]
            absent.append(self._some(self.scenes[rng.choice(rows)], 1, rng) | absent[0])
            while len(absent[-1]) == 1:
                absent[-1] = self._some(self.scenes[rng.choice(rows)], 1, rng) | absent[0]
            vectors = self.vectors[rows]
            for wanted in absent:
                yield self._case(vectors, wanted, False, rng)
            for parts in (1, 2, 2, 3, 2):
                wanted = self._some(self.scenes[rng.choice(rows)], parts, rng)
                yield self._case(vectors, wanted, True, rng)

    def _without(self, rows, size, parts, taken, rng):  # type: ignore[no-untyped-def]
        left = 4 - len(taken)
        while True:
            wanted = self._some(rng.choice(self.scenes), parts, rng)
            if any(wanted.items() <= other.items() or other.items() <= wanted.items()
                   for other in taken):  # fmt: skip
                continue
            found = self._shows(rows, wanted)
            if (~found).sum() >= size + 0.25 * size * (left - 1):
                return wanted, rows[~found]

    @staticmethod
    def _some(scene: Scene, parts: int, rng: random.Random) -> dict[str, str]:
        # All scenes are small or large: without one of them half of the pictures would go.
        names = [name for name in ATTRIBUTES if parts > 1 or name != "size"]
        return {name: getattr(scene, name) for name in rng.sample(names, parts)}

    def _case(self, vectors: Floats, wanted: dict[str, str], present: bool, rng) -> Case:
        text = describe(wanted, rng)
        query = self._encoder.encode_texts([text])[0]
        return Case(vectors, query, present, len(wanted), text)


class Made:
    """Vectors as CLIP's: texts and pictures in a cone each, concepts in families, hubs.

    Cosines of a text with pictures are about 0.2, and 0.3 where the picture shows it.
    """

    def __init__(self, dimension: int = 256, families: int = 120, seed: int = 2) -> None:
        self._rng = np.random.default_rng(seed)
        rng = self._rng
        heads = rng.normal(size=(families, dimension))
        self.concepts = 0.6 * np.repeat(heads, 6, axis=0) + rng.normal(
            size=(6 * families, dimension)
        )
        self.concepts /= np.linalg.norm(self.concepts, axis=1, keepdims=True)
        cones = rng.normal(size=(2, dimension))
        cones /= np.linalg.norm(cones, axis=1, keepdims=True)
        self._pictures, self._texts = cones
        # What a concept says about itself at all: "thing" says little, "zebra" much.
        self._force = rng.uniform(0.6, 0.9, size=len(self.concepts))

    def texts(self, chosen: npt.NDArray[np.int64]) -> Floats:
        """Of the concepts in each row of `chosen`; -1 is none. float32 [n, dimension]."""
        told = self._sum(chosen) + 0.25 * self._noise(len(chosen))
        lean = self._rng.uniform(0.15, 0.25, (len(chosen), 1)) * self._pictures
        return (self._texts + lean + told).astype(np.float32)

    def pictures(self, chosen: npt.NDArray[np.int64]) -> Floats:
        """As `texts`; one in a hundred is a hub, near to all texts."""
        shown = self._pictures + self._sum(chosen) + 0.3 * self._noise(len(chosen))
        hubs = self._rng.random(len(chosen)) < 0.01
        shown[hubs] += 0.1 * self._texts
        return shown.astype(np.float32)

    def _sum(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        force = np.where(chosen >= 0, self._force[chosen], 0.0)
        return np.einsum("nk,nkd->nd", force, self.concepts[chosen])

    def _noise(self, count: int) -> npt.NDArray[np.float64]:
        dimension = self.concepts.shape[1]
        return self._rng.normal(size=(count, dimension)) / np.sqrt(dimension)

    def background(self, count: int = 600) -> tuple[Floats, set[int]]:
        """Texts of one or two concepts of a tenth of all, and which these are."""
        words = self._rng.choice(len(self.concepts), len(self.concepts) // 10, replace=False)
        chosen = self._rng.choice(words, (count, 2))
        chosen[self._rng.random(count) < 0.5, 1] = -1
        return self.texts(chosen), set(words.tolist())

    def cases(self, rows: int, words: set[int], count: int = 5) -> Iterator[Case]:
        """A collection of `rows` pictures with a third of all concepts, few of them often;
        `count` concepts that are in it and as many that are not, none of them in `words`."""
        rng = self._rng
        order = rng.permutation(len(self.concepts))
        here = order[: len(order) // 3]
        often = 1 / np.arange(1, len(here) + 1)
        shown = rng.choice(here, (rows, 3), p=often / often.sum())
        shown[rng.random((rows, 3)) < 0.4] = -1
        vectors = np.concatenate(
            [self.pictures(shown[at : at + 5000]) for at in range(0, rows, 5000)]
        )
        there = [c for c in here if c not in words and (shown == c).any()]
        away = [c for c in order[len(here) :] if c not in words]
        for present, some in ((True, there), (False, away)):
            for concept in rng.choice(some, count, replace=False):
                query = self.texts(np.array([[concept]]))[0]
                yield Case(vectors, query, present, 1, f"concept {concept}")
