"""Scenes: the split, the captions, the drawings, and the model folder trained on them."""

import hashlib
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from clipstack import scenes
from clipstack.scenes import ATTRIBUTES, Scene, combinations, demo_scenes, held_out_scenes

MODEL = Path(scenes.__file__).parent.parent / "encoders" / "models" / "shapes"

NAMED = {
    "shape": {
        "circle": "circles?|discs?",
        "square": "squares?",
        "triangle": "triangles?",
        "star": "stars?",
        "heart": "hearts?",
        "ring": "rings?|hoops?",
        "cross": "cross(es)?",
    },
    "colour": {
        "red": "red",
        "green": "green",
        "blue": "blue",
        "yellow": "yellow",
        "purple": "purple|violet",
    },
    "count": {"one": "one|single|1", "two": "two|pair|2", "three": "three|3", "four": "four|4"},
    "size": {"small": "small|little|tiny", "large": "large|big|huge"},
    "position": {
        "centre": "centre|center|middle",
        "left": "left",
        "right": "right",
        "top": "top|upper",
        "bottom": "bottom|lower",
    },
    "texture": {
        "solid": "solid|plain",
        "striped": "striped|stripy|stripes",
        "dotted": "dotted|spotted|dots",
        "checked": "checked|checkered|chequered|checks",
    },
}
BACKGROUND = re.compile(r"\b(white|black|blue|pink) background\b|\bon (white|black|blue|pink)\b")
# Degrees of hue that anybody would call by the colour's name.
HUES = {
    "red": (-15, 15),
    "green": (110, 165),
    "blue": (210, 240),
    "yellow": (40, 62),
    "purple": (265, 300),
}
SIDES = {"centre": (0, 0), "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


def attributes_named(caption: str) -> dict[str, str]:
    """What a reader takes from the caption."""
    named = {}
    if background := BACKGROUND.search(caption):
        named["background"] = background[1] or background[2]
        caption = BACKGROUND.sub("", caption)
    for attribute, patterns in NAMED.items():
        for value, pattern in patterns.items():
            if re.search(rf"\b({pattern})\b", caption):
                assert attribute not in named, caption
                named[attribute] = value
    return named


def drawn(scene: Scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hue in degrees and saturation from 0 to 1 of each pixel of a drawing."""
    hsv = np.asarray(scene.draw(random.Random(seed), 128).convert("HSV"), dtype=float)
    return hsv[..., 0] * 360 / 255, hsv[..., 1] / 255


def test_held_out_scenes_are_never_trained_on() -> None:
    held_out, trained = set(scenes.held_out()), set(scenes.trained())
    assert not held_out & trained
    assert held_out | trained == set(combinations())
    assert 0.08 < len(held_out) / len(combinations()) < 0.12


def test_the_split_is_the_one_the_model_was_trained_with() -> None:
    # If this fails, the model in clipstack/encoders/models/shapes has to be trained anew.
    names = "\n".join(scene.name for scene in scenes.held_out())
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "5985201a491391cb"


def test_a_selection_is_held_out_different_and_repeatable() -> None:
    chosen = held_out_scenes(200, seed=3)
    assert set(chosen) <= set(scenes.held_out())
    assert len(set(chosen)) == 200
    assert chosen == held_out_scenes(200, seed=3)
    assert chosen != held_out_scenes(200, seed=4)
    with pytest.raises(ValueError, match="held-out"):
        held_out_scenes(len(scenes.held_out()) + 1)


def test_demo_scenes_show_every_shape_in_every_colour() -> None:
    demo = demo_scenes(60)
    assert len(set(demo)) == 60
    assert set(demo) <= set(scenes.held_out())
    assert demo[:20] == demo_scenes(20)
    pairs = {(scene.shape, scene.colour) for scene in demo[:35]}
    assert len(pairs) == len(ATTRIBUTES["shape"]) * len(ATTRIBUTES["colour"])


def test_a_caption_names_every_attribute() -> None:
    rng = random.Random(0)
    for scene in rng.sample(combinations(), 1000):
        caption = scene.caption(rng)
        assert attributes_named(caption) == scene.attributes, caption


def test_a_partial_caption_names_only_what_was_asked_for() -> None:
    rng = random.Random(1)
    for scene in rng.sample(combinations(), 1000):
        names = rng.sample(list(ATTRIBUTES), rng.randint(1, 3))
        caption = scene.partial_caption(rng, names)
        assert attributes_named(caption) == {n: scene.attributes[n] for n in names}, caption
    with pytest.raises(ValueError, match="nothing to describe"):
        scene.partial_caption(rng, [])


def test_captions_vary_and_repeat_with_the_seed() -> None:
    scene = combinations()[0]
    captions = [scene.caption(random.Random(seed)) for seed in range(50)]
    assert len(set(captions)) > 40
    assert captions[7] == scene.caption(random.Random(7))


def test_a_drawing_repeats_with_the_seed_only() -> None:
    scene = combinations()[1234]
    picture = scene.draw(random.Random(5))
    assert (picture.mode, picture.size) == ("RGB", (256, 256))
    assert picture.tobytes() == scene.draw(random.Random(5)).tobytes()
    assert picture.tobytes() != scene.draw(random.Random(6)).tobytes()
    with pytest.raises(ValueError, match="too small"):
        scene.draw(random.Random(5), 8)


@pytest.mark.parametrize("colour", ATTRIBUTES["colour"])
@pytest.mark.parametrize("position", ATTRIBUTES["position"])
def test_a_drawing_shows_the_colour_at_the_position(colour: str, position: str) -> None:
    for seed, (shape, count) in enumerate((("star", "one"), ("ring", "three"), ("heart", "four"))):
        scene = Scene(shape, colour, count, "large", position, "solid", "white")
        hue, saturation = drawn(scene, seed)
        rows, columns = np.nonzero(saturation > 0.4)
        assert len(rows) > 0.01 * hue.size
        low, high = HUES[colour]
        hues = (hue[rows, columns] + 60) % 360 - 60
        assert np.mean((hues >= low) & (hues <= high)) > 0.98
        across, down = SIDES[position]
        assert columns.mean() / 128 - 0.5 == pytest.approx(across * 0.2, abs=0.1)
        assert rows.mean() / 128 - 0.5 == pytest.approx(down * 0.2, abs=0.1)


def test_a_drawing_shows_the_number_and_size_of_shapes() -> None:
    def coloured(count: str, size: str) -> float:
        scene = Scene("circle", "red", count, size, "top", "solid", "white")
        return float(np.mean([np.mean(drawn(scene, seed)[1] > 0.4) for seed in range(8)]))

    for size in ATTRIBUTES["size"]:
        areas = [coloured(count, size) / coloured("one", size) for count in ATTRIBUTES["count"]]
        assert areas == pytest.approx([1, 2, 3, 4], rel=0.08)
    assert coloured("one", "large") > 1.8 * coloured("one", "small")


def test_a_drawing_shows_the_background() -> None:
    def corner(background: str) -> tuple[int, int, int]:
        scene = Scene("circle", "red", "one", "small", "centre", "solid", background)
        red, green, blue = np.asarray(scene.draw(random.Random(0)))[2, 2].tolist()
        return red, green, blue

    red, green, blue = corner("blue")
    assert blue > green > red
    red, green, blue = corner("pink")
    assert red > blue > green
    assert min(corner("white")) > 200
    assert max(corner("black")) < 60


@pytest.mark.parametrize(
    ("attribute", "value"), [("shape", "dog"), ("count", "five"), ("background", "red")]
)
def test_a_scene_that_cannot_be_drawn_is_refused(attribute: str, value: str) -> None:
    good = Scene("star", "red", "one", "small", "top", "solid", "white")
    with pytest.raises(ValueError, match=value):
        Scene(**{**good.attributes, attribute: value})


def test_the_model_folder_is_small_and_pools_at_the_end_token() -> None:
    files = [file for file in MODEL.iterdir() if file.is_file()]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < 8_000_000
    end = json.loads((MODEL / "config.json").read_text())["text_config"]["eos_token_id"]
    vocabulary = json.loads((MODEL / "tokenizer.json").read_text())["model"]["vocab"]
    # With number 2 transformers would pool at the token with the highest number instead.
    assert end == vocabulary["<end>"] != 2
