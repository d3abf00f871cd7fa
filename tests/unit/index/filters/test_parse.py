"""What filters are read as, and where those that are none go wrong."""

from __future__ import annotations

import contextlib
import random

import pytest

from clipstack.errors import UsageError
from clipstack.index.filters.operands import FIELDS
from clipstack.index.filters.parse import parse
from clipstack.index.filters.syntax import (
    And,
    Arithmetic,
    Compare,
    CompareFields,
    Contains,
    Exists,
    Expression,
    Field,
    In,
    Like,
    Not,
    Or,
)

# Milvus 2.3.5 takes each of these (tests/stack/test_filters.py runs them).
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
    "not (width > 3)",
    "!(width > 3)",
    "exists lat",
    'width > 3 and not(path == "x")',
    "exists lat and exists lon or not (exists camera)",
    'path like "IMG\\\\_%" and title like "100\\\\%%"',
    "path > \"a\\tb\\u00e9\\\\\" and path != '\\x41'",
)
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
    "width % 0 == 1": 8,
    "width / 0 == 1": 8,
    "width % 0x0 == 1": 8,
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
    "path == 'a\\qb'": 10,
    "path == '\\ud83d'": 9,
    "path == '\\x00'": 9,
    "path == 'a\\%'": 10,
    "lat > 1e999": 6,
    "lat < true": 4,
    "mtime_ns % 10 == 3": 9,
    "width + 1 in [2]": 0,
    "path like 'IMG_%'": 10,
    "path like 'a\\\\'": 10,
    "path like '%\\\\\\\\%a'": 10,
    "json_contains(tags, 9007199254740993)": 20,
    "json_contains_any(tags, [])": 24,
    "json_contains_any(tags, [1, 9007199254740992])": 28,
    "labels[0] == 'dog'": 0,
    "json_contains(camera_words[0], 'x')": 14,
    '$meta["width"] > 3': 0,
    '$meta["vector"] == 3': 0,
    '$meta[""] == 3': 6,
    "$meta['a\"b'] == 3": 6,
    '$meta["a\\\\b"] == 3': 6,
    "tags[01] == 'a'": 5,
    "tags[9999999999999999999] == 'a'": 5,
    "tags[0][0][0][0] == 'a'": 0,
    "width > 3 and " + "(" * 60 + "width > 3" + ")" * 60: 64,
}


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    _, caret = caught.value.hint.splitlines()[:2]
    assert caret == " " * (2 + BAD[text]) + "^"
    assert caught.value.message.startswith("--filter: ")


def test_nothing_ends_in_another_error() -> None:
    """Whatever is typed: each expression with parts lost, doubled or swapped."""
    chance = random.Random(0)
    for _ in range(20_000):
        parts = list(chance.choice(GOOD))
        for _ in range(chance.randint(1, 4)):
            where = chance.randrange(len(parts))
            parts[where] = chance.choice(["", parts[where] * 2, *"()[]\"'$ =<>!,.é\\"])
        with contextlib.suppress(UsageError):
            parse("".join(parts))


def test_a_long_filter_is_shown_around_the_place() -> None:
    text = " and ".join(["width > 3"] * 40 + ["widht > 3"] + ["width > 3"] * 40)
    with pytest.raises(UsageError) as caught:
        parse(text)
    shown, caret, hint = caught.value.hint.splitlines()
    assert len(shown) < 140
    assert shown[len(caret) - 1 :].startswith("widht")
    assert hint == "Did you mean width?"


def test_every_field_can_be_compared() -> None:
    for name in FIELDS:
        literal = '"a"' if name in ("id", "path", "digest", "format") else "1"
        parse(f"{name} == {literal}")


WIDTH, PATH, LAT, TAGS = map(Field, ("width", "path", "lat", "tags"))
WIDE = Compare(WIDTH, ">", 3)
TREES: dict[str, Expression] = {
    "width > 3": WIDE,
    "3 < width": WIDE,
    "3 >= height": Compare(Field("height"), "<=", 3),
    "-3.5e-2 == lat": Compare(LAT, "==", -0.035),
    "100 < width <= 400": And((Compare(WIDTH, ">", 100), Compare(WIDTH, "<=", 400))),
    "9 > width > 3": And((Compare(WIDTH, "<", 9), WIDE)),
    "width < height": CompareFields(WIDTH, "<", Field("height")),
    "width % 2 != 0": Compare(Arithmetic(WIDTH, "%", 2), "!=", 0),
    "width in [1, 2,]": In(WIDTH, (1, 2)),
    "path not in ['a']": Not(In(PATH, ("a",))),
    "path like 'a%'": Like(PATH, "a%"),
    "path like '%a\\_b%'": Like(PATH, r"%a\_b%"),
    "path like 'a\\_b'": Compare(PATH, "==", "a_b"),
    "exists tags": Exists(TAGS),
    "json_contains(tags, 'sea')": Contains(TAGS, ("sea",)),
    "JSON_CONTAINS_ALL(tags, ['a', 'b'])": Contains(TAGS, ("a", "b")),
    "json_contains_any(tags, [1])": Contains(TAGS, (1,), "any"),
    '$meta["camera"] == true': Compare(Field("camera"), "==", True),
    '$meta["a b"]["0"][1] == 1': Compare(Field("$meta", ("a b", 0, 1)), "==", 1),
    "width > 3 or !(lat == 1) and path == 'b'": Or(
        (WIDE, And((Not(Compare(LAT, "==", 1)), Compare(PATH, "==", "b"))))
    ),
    "(width > 3 or width > 3) or width > 3": Or((Or((WIDE, WIDE)), WIDE)),
    "width > 3 && width > 3 && width > 3": And((WIDE, WIDE, WIDE)),
    r"""path == "q\"'\\ \n\x41\101\u00e9\U0001f600" """: Compare(PATH, "==", "q\"'\\ \nAAé😀"),
    "path == 'it\\'s'": Compare(PATH, "==", "it's"),
}


@pytest.mark.parametrize("text", TREES)
def test_trees(text: str) -> None:
    assert parse(text) == TREES[text]


def test_filters_for_other_values_are_others() -> None:
    """They are keys of dictionaries, and in Python 1 == 1.0 == True."""
    filters = {parse(f"{left} {one}") for left in ("lat ==", "lat !=") for one in (1, 1.0, "true")}
    filters |= {parse(f"{name}") for name in ("lat in [1]", "lat in [1.0]")}
    filters |= {parse(f"json_contains(tags, {one})") for one in (1, 1.0, "true")}
    assert len(filters) == 11


def test_parts_of_a_pattern() -> None:
    parts = {
        "%": ("", ""),
        "a%%b%%%": ("a", "b", ""),
        r"100\%%": ("100%", ""),
        r"\_\\": ("_\\",),
        r"\\%\%": ("\\", "%"),
        "": ("",),
    }
    assert {pattern: Like(PATH, pattern).parts for pattern in parts} == parts
