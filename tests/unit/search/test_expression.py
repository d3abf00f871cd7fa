"""Which filters are read as Milvus reads them, and where the others go wrong."""

from __future__ import annotations

import contextlib
import random

import pytest

from clipstack.errors import UsageError
from clipstack.search.expression import FIELDS, check

# Milvus 2.3.5 and Milvus Lite 2.5.1 take each of these (tests/stack/test_filters.py runs them).
GOOD = (
    "width > 300",
    "100 < width <= 400 or 3 >= height",
    "(width == 3 && height != 4) || size < 10",
    "width + 1 == 101",
    "width % 2 == 0",
    "width == height",
    'path like "/home/%" and format in ["JPEG", "PNG",]',
    "format not in ['GIF']",
    'path == "say \\"x\\" \\\\ é"',
    'camera == "Canon" or lens like "50%"',
    "lat >= -3.5e-2 and lon < .5 and lat > -90",
    'json_contains(tags, "sea")',
    'JSON_CONTAINS_ANY(keywords, ["sea", "dog"])',
    'json_contains_all(tags, ["sea"])',
    'tags[0] == "sea"',
    '$meta["lat"] > 3 and $meta["a thing of mine"] == true',
    "taken_at != 0",
    "orientation in [6, 8]",
    "((((width > 3))))",
)
SERVERS_ONLY = ("not (width > 3)", "!(width > 3)", "exists lat", 'width > 3 and not(path == "x")')
BAD = {
    "": 0,
    "   ": 0,
    "width": 5,
    "1": 1,
    "true": 4,
    "width >": 7,
    "> 3": 0,
    "width > 3 and": 13,
    "width > 3 height": 10,
    "width > 3 AND height > 3": 10,
    "width IN [1]": 6,
    "width in 3": 9,
    "width in []": 9,
    "width in [1, 'a']": 13,
    "width in [1, height]": 13,
    "width in (1, 2)": 9,
    "width = 3": 6,
    "width > 3 > 2": 10,
    "width > 99999999999999999999": 8,
    "width > 'a'": 8,
    "width > 1.5": 8,
    "path == 3": 8,
    "path == true": 8,
    "width * 2 > 3": 10,
    "path + 1 == 'a'": 5,
    "1 == 1": 0,
    "'a' == 'a'": 0,
    "lat > lon": 6,
    "width > lat": 8,
    "width > path": 8,
    "width > height + 1": 8,
    "vector == 3": 0,
    "widht > 3": 0,
    "foo(width)": 0,
    "array_length(tags) > 1": 0,
    "json_contains(path, 'x')": 14,
    "json_contains(tags, ['x'])": 20,
    "json_contains_any(tags, 'x')": 24,
    "json_contains(tags 'x')": 19,
    "json_contains(tags, 'x'": 23,
    "json_contains tags": 14,
    "(width > 3": 10,
    "width > 3)": 9,
    "tags == []": 8,
    "tags[0 == 'a'": 7,
    "width[0] == 1": 5,
    "$meta == 3": 6,
    "path like 3": 10,
    "width like 'a'": 0,
    "'a": 0,
    "path == 'a": 8,
    "path == 'a\nb'": 10,
    "width > 3 -- all": 10,
    "width > 3; drop": 9,
    "width > 3 # all": 10,
    "not width > 3": 4,
    "exists path": 7,
    "and": 0,
    "width not 3": 10,
    "lat is null": 4,
    # Milvus Lite ends at once: the file's engine is gone.
    "width % 0 == 1": 8,
    "width / 0 == 1": 8,
    # Milvus Lite reads it as 0.
    "width > 0x10": 8,
    "width > 010": 8,
    "width + 1 + 1 == 3": 10,
    "width + 'a' == 3": 6,
    "lat + 1 == 3": 4,
    "tags [0] == 'a'": 5,
    "tags[ 0 ] == 'a'": 4,
    "100 < width > 3": 12,
    "100 < width < height": 14,
    "lat in [1, 'a']": 11,
    "1 < lat < 3": 8,
    "json_contains_all(tags, [true])": 25,
    "path == '\udc80'": 9,
    "width > 3 and " + "(" * 60 + "width > 3" + ")" * 60: 64,
}


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str) -> None:
    check(text, embedded=True)
    check(text, embedded=False)


@pytest.mark.parametrize("text", SERVERS_ONLY)
def test_what_the_embedded_target_does_not_have(text: str) -> None:
    check(text, embedded=False)
    with pytest.raises(UsageError, match="embedded target has no"):
        check(text, embedded=True)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(text)
    _, caret = caught.value.hint.splitlines()[:2]
    assert caret == " " * (2 + BAD[text]) + "^"
    assert caught.value.message.startswith("--filter: ")


def test_nothing_ends_in_another_error() -> None:
    """Whatever is typed: each expression with parts lost, doubled or swapped."""
    chance = random.Random(0)
    for _ in range(20_000):
        parts = list(chance.choice(GOOD + SERVERS_ONLY))
        for _ in range(chance.randint(1, 4)):
            where = chance.randrange(len(parts))
            parts[where] = chance.choice(["", parts[where] * 2, *"()[]\"'$ =<>!,.é\\"])
        with contextlib.suppress(UsageError):
            check("".join(parts))


def test_a_long_filter_is_shown_around_the_place() -> None:
    text = " and ".join(["width > 3"] * 40 + ["widht > 3"] + ["width > 3"] * 40)
    with pytest.raises(UsageError) as caught:
        check(text)
    shown, caret, hint = caught.value.hint.splitlines()
    assert len(shown) < 140
    assert shown[len(caret) - 1 :].startswith("widht")
    assert hint == "Did you mean width?"


def test_every_field_can_be_compared() -> None:
    for name in FIELDS:
        literal = '"a"' if name in ("id", "path", "digest", "format") else "1"
        check(f"{name} == {literal}")
