"""Takes attribute values, gives an English description of them in varied words."""

import random
from collections.abc import Mapping

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "shape": {
        "circle": ("circle", "disc"),
        "square": ("square",),
        "triangle": ("triangle",),
        "star": ("star",),
        "heart": ("heart",),
        "ring": ("ring", "hoop"),
        "cross": ("cross",),
    },
    "colour": {
        "red": ("red",),
        "green": ("green",),
        "blue": ("blue",),
        "yellow": ("yellow",),
        "purple": ("purple", "violet"),
    },
    "count": {
        "one": ("one", "a single", "1"),
        "two": ("two", "a pair of", "2"),
        "three": ("three", "3"),
        "four": ("four", "4"),
    },
    "size": {
        "small": ("small", "little", "tiny"),
        "large": ("large", "big", "huge"),
    },
    "position": {
        "centre": ("in the centre", "in the center", "in the middle"),
        "left": ("on the left", "at the left", "on the left side", "to the left"),
        "right": ("on the right", "at the right", "on the right side", "to the right"),
        "top": ("at the top", "near the top", "on top", "in the upper part"),
        "bottom": ("at the bottom", "near the bottom", "in the lower part"),
    },
    "texture": {
        "solid": ("solid", "plain"),
        "striped": ("striped", "stripy"),
        "dotted": ("dotted", "spotted"),
        "checked": ("checked", "checkered", "chequered"),
    },
    "background": {
        "white": ("white",),
        "black": ("black",),
        "blue": ("blue",),
        "pink": ("pink",),
    },
}
"""By attribute and value, the words that `describe` uses for it, the most usual one first."""

_PATTERNS = {"striped": "stripes", "dotted": "dots", "checked": "checks"}
_PLACES = {
    "centre": ("centre", "center", "middle"),
    "left": ("left",),
    "right": ("right",),
    "top": ("top",),
    "bottom": ("bottom",),
}
_BACKGROUNDS = (
    "on a {} background",
    "against a {} background",
    "with a {} background",
    "{} background",
    "on {}",
)
_ANYTHING = ("shape", "thing", "object")
_OPENINGS = ("a picture of", "an image of", "a drawing of", "a photo of")


def _pick(words: tuple[str, ...], rng: random.Random) -> str:
    return words[0] if rng.random() < 0.5 else rng.choice(words)


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def describe(named: Mapping[str, str], rng: random.Random) -> str:
    """Describe the given attribute values, and nothing else, in words that vary with `rng`.

    Takes values by attribute name, as in `Scene.attributes`, any subset of them; gives one line
    of lower-case text. Raises ValueError if none is given and KeyError for an attribute or value
    that does not exist.
    """
    if not named:
        raise ValueError("nothing to describe: no attribute is named")
    words = {name: _pick(WORDS[name][value], rng) for name, value in named.items()}
    subject = _subject(named, words, rng)
    extras = []
    if "position" in words:
        bare = _PLACES[named["position"]]
        extras.append(_pick(bare, rng) if rng.random() < 0.15 else words["position"])
    if "background" in words:
        extras.append(_pick(_BACKGROUNDS, rng).format(words["background"]))
    rng.shuffle(extras)
    if subject and extras and rng.random() < 0.2:
        return ", ".join([*extras, subject])
    if "shape" in named and rng.random() < 0.15:
        subject = f"{rng.choice(_OPENINGS)} {subject}"
    return " ".join([subject, *extras]).strip()


def _subject(named: Mapping[str, str], words: Mapping[str, str], rng: random.Random) -> str:
    """The part about the shapes themselves, empty if nothing about them is named."""
    if not named.keys() & {"shape", "colour", "count", "size", "texture"}:
        return _plural(rng.choice(_ANYTHING)) if rng.random() < 0.3 else ""
    adjectives = [words[name] for name in ("size", "colour", "texture") if name in words]
    pattern = _PATTERNS.get(named.get("texture", ""), "")
    ending = ""
    if pattern and rng.random() < 0.25:
        adjectives.remove(words["texture"])
        if len(named) == 1:
            return pattern
        ending = f"with {pattern}"
    if rng.random() < 0.3:
        rng.shuffle(adjectives)
    plural = named["count"] != "one" if "count" in named else rng.random() < 0.5
    noun = words.get("shape", "")
    if not noun and rng.random() < 0.6:
        noun = rng.choice(_ANYTHING)
    if not noun and words.get("count", "").startswith("a "):
        noun = _ANYTHING[0]
    if noun and plural:
        noun = _plural(noun)
    if "count" not in named and noun and not plural and rng.random() < 0.6:
        adjectives.insert(0, rng.choice(("a", "a", "the")))
    if rng.random() < 0.1 and not words.get("count", "").startswith("a "):
        # As a list of key words, the noun first.
        parts = [noun, words.get("count", ""), *adjectives, ending]
    else:
        parts = [words.get("count", ""), *adjectives, noun, ending]
    return " ".join(part for part in parts if part)
