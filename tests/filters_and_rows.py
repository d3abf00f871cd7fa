"""Random filters and rows, the same every time, and what filters mean in plain Python."""

from __future__ import annotations

import functools
import json
import operator
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from clipstack.index.derived_fields import with_derived_fields
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
from clipstack.index.schema import Row, row_id

DIMENSION = 4
_TEXTS = (
    *("", "a", "A", "ab", "b", "Canon EOS 5D", "NIKON D750", "IMG_1", "IMGx1", "IMG", "100%", "50"),
    *("100% wool", "a_b", "a%b", "back\\slash", "\\", 'say "x"', "it's", "é", "e\u0301", "日本"),
    *("😀", "😀x", "\uffee", "𐀀", "true", "null", "1", "1.0", "[1]", "*", "a*", "a?", "[a]", "ÿ"),
    *("tab\there", "line\nbreak", "a" * 300),
)
_WHOLE = (0, 1, 2, 3, 6, -1, -5, 48, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1)
_FLOATS = (0.0, 1.0, -1.0, 1.5, -3.25, 0.1, 48.137154, 11.576124, 2.0**53, 1e300, -1e-7, 9.3e18)
_LABELS = ("dog", "Dog", "sea", "Füße", "日本", "😀", 'a"b', "it's", "x y", "100%")
_FORMATS = ("JPEG", "PNG", "HEIF")
_NAMES = ("x", "a b", "日本", "it's", "a/b", "a~b", "a.b", "2024", "007", "$x", "*", "[0]")
_LISTED = ("title", "keywords", "tags", '$meta["x"]', '$meta["m"]["list"]', '$meta["m"]["k"]')


def rows(count: int, seed: int) -> list[Row]:
    """Rows that lack fields, or hold what nobody expects there."""
    chance = random.Random(seed)
    return [_row(chance, number) for number in range(count)]


def _row(chance: random.Random, number: int) -> Row:
    folder = chance.choice(["/a", "/a b", "/50%", "/un_der", "/é", "/日本", "/q'uo\"te", "/back\\"])
    name = chance.choice(["IMG_", "img", "x", "😀", "new\nline"])
    path = f"{folder}/{name}{number}.jpg"
    vector = np.array([number % 7, number % 5, number % 3, 1], np.float32)
    return Row(
        id=row_id(path),
        path=path,
        digest=chance.choice([*_TEXTS[:6], "JPEG", path[:60]]),
        size=chance.choice([0, 1, 7, 1000, -7, 2**40, 2**53 - 1]),
        mtime_ns=chance.choice([-(2**62), 0, 1, 1_700_000_000_123_456_789, 2**53 + 1]),
        width=chance.choice([1, 7, 8, 96, 4000]),
        height=chance.choice([1, 7, 8, 96, 3000]),
        format=chance.choice(_FORMATS),
        taken_at=chance.choice([0, -1, -86400, 1, 1_700_000_000]),
        imported_at=chance.choice([0, -3, 3, 1_800_000_000]),
        vector=vector,
        facts=_facts(chance) if chance.random() < 0.9 else {},
    )


def _facts(chance: random.Random) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("camera", "lens"):
        if chance.random() < 0.5:
            facts[name] = chance.choice(_TEXTS)
    for name in ("lat", "lon"):
        if chance.random() < 0.6:
            facts[name] = chance.choice([*_FLOATS, *_WHOLE]) if chance.random() < 0.8 else "48.1"
    for name in ("tags", "keywords"):
        if chance.random() < 0.5:
            facts[name] = chance.choices(_LABELS, k=chance.randint(0, 3))
    for name in ("title", "description", "orientation", *_NAMES):
        if chance.random() < 0.5:
            facts[name] = _value(chance, 0.7)
    if chance.random() < 0.6:
        keys = chance.sample(["k", "0", "1", "list", *_NAMES], 4)
        facts["m"] = {key: _value(chance, 0.6) for key in keys}
    return facts


def _value(chance: random.Random, flat: float) -> Any:
    if chance.random() < flat:
        of: Any = chance.choice([_TEXTS, _WHOLE, _FLOATS, (True, False), (None, [], {})])
        return chance.choice(of)
    if chance.random() < 0.7:
        kind: Any = chance.choice([_LABELS, _WHOLE, _FLOATS, (True, None, 1, 1.0, "1", [1], {})])
        return [chance.choice(kind) for _ in range(chance.randint(1, 4))]
    return {chance.choice(["k", "0", "list"]): _value(chance, 0.8)}


def filters(count: int, seed: int, *, infix: bool = True) -> list[str]:
    """Filters as a person may type them, each another.

    Args:
        infix: whether patterns have a wildcard elsewhere than at the end.
    """
    chance = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        made[_filter(chance, 3, infix)] = None
    return list(made)


def _filter(chance: random.Random, depth: int, infix: bool) -> str:
    if depth == 0 or chance.random() < 0.45:
        return _condition(chance, infix)
    if chance.random() < 0.35:
        return f"{chance.choice(['not ', '!', 'not'])}({_filter(chance, depth - 1, infix)})"
    word = chance.choice([" and ", " or ", " && ", "||"])
    parts = [_filter(chance, depth - 1, infix) for _ in range(chance.randint(2, 3))]
    return word.join(f"({part})" if chance.random() < 0.7 else part for part in parts)


def _condition(chance: random.Random, infix: bool) -> str:
    kind = chance.choice([_fixed, _fixed, _dynamic, _dynamic, _dynamic, _contains, _exists, _like])
    return _like(chance, infix=infix) if kind is _like else kind(chance)


def _fixed(chance: random.Random) -> str:
    number = chance.choice(["size", "mtime_ns", "width", "height", "taken_at", "imported_at"])
    small = chance.choice(["size", "width", "taken_at", "imported_at"])
    text = chance.choice(["id", "path", "digest", "format"])
    sign = chance.choice(["==", "!=", "<", "<=", ">", ">="])
    whole = chance.choice([*_WHOLE, 7, 8, 96, 1_700_000_000_123_456_789])
    texts = [*_TEXTS, *_FORMATS, row_id("/a/x1.jpg"), "/a b/", "/é"]
    word = _quoted(chance, chance.choice(texts))
    return chance.choice(
        [
            f"{number} {sign} {whole}",
            f"{whole} {sign} {number}",
            f"1 < {number} <= {whole}",
            f"{text} {sign} {word}",
            f"{word} {sign} {text}",
            f"{small} % 3 {chance.choice(['==', '!='])} {chance.choice([0, 1, -1])}",
            f"width {chance.choice('+-*')} 1 == {chance.choice([7, 8, 95])}",
            f"imported_at / 2 == {chance.choice([-1, 1, 0])}",
            f"width {sign} height",
            f"digest {sign} format",
            f"{number} {chance.choice(['in', 'not in'])} {chance.sample([*_WHOLE, 7, 8, 96], 3)}",
            f"{text} {chance.choice(['in', 'not in'])} [{word}, {_quoted(chance, 'JPEG')}]",
        ]
    )


def _field(chance: random.Random) -> str:
    named = chance.choice(["camera", "lens", "lat", "lon", "title", "description", "orientation"])
    made = chance.choice(["labels", "camera_words", "tags", "keywords", "tags[0]", "keywords[1]"])
    name = chance.choice(_NAMES)
    inner = chance.choice(["k", "0", "1", "list", *_NAMES])
    meta = chance.choice([f'$meta["{named}"]', f'$meta["{name}"]', f'$meta["m"]["{inner}"]'])
    odd = chance.choice(['$meta["x"][0]', '$meta["x"]["0"]', '$meta["m"][0]', "$meta[2024]"])
    return chance.choice([named, named, named, made, meta, meta, meta, odd, '$meta["x"]["k"]'])


def _dynamic(chance: random.Random) -> str:
    field = _field(chance)
    sign = chance.choice(["==", "!=", "<", "<=", ">", ">="])
    pool = chance.choice([_TEXTS, _WHOLE, _FLOATS])
    value = _literal(chance, chance.choice(pool))
    among = ", ".join(_literal(chance, item) for item in chance.sample(pool, chance.randint(1, 3)))
    return chance.choice(
        [
            f"{field} {sign} {value}",
            f"{value} {sign} {field}",
            f"{field} {chance.choice(['==', '!='])} {chance.choice(['true', 'False'])}",
            f"{field} {chance.choice(['in', 'not in'])} [{among}]",
        ]
    )


def _contains(chance: random.Random) -> str:
    field = chance.choice([*_LISTED, "labels", "camera_words"])
    labels = (*_LABELS, "canon", "d750", "füsse")
    small = (*_WHOLE[:9], 1)
    pool = chance.choice([labels, labels, small, _FLOATS])
    one = _literal(chance, chance.choice([*pool, True]))
    some = ", ".join(_literal(chance, item) for item in chance.sample(pool, chance.randint(1, 3)))
    if chance.random() < 0.4:
        return f"{chance.choice(['json_contains', 'JSON_CONTAINS'])}({field}, {one})"
    return f"json_contains_{chance.choice(['all', 'any'])}({field}, [{some}])"


def _exists(chance: random.Random) -> str:
    return f"{chance.choice(['exists', 'EXISTS'])} {_field(chance)}"


def _like(chance: random.Random, *, infix: bool = False) -> str:
    field = chance.choice(["path", "digest", "format", _field(chance), _field(chance)])
    text = chance.choice(_TEXTS)
    start = re.sub(r"([%_\\])", r"\\\1", text[: chance.randint(0, len(text))])
    pattern = chance.choice([f"{start}%", f"{start}%%", start, "%"])
    if infix and chance.random() < 0.6:
        start = start.rstrip("\\")
        rest = re.sub(r"([%_])", r"\\\1", text[-2:].replace("\\", ""))
        pattern = chance.choice([f"%{start}", f"%{start}%", f"{start}%{rest}", f"%{rest}%{start}%"])
    return f"{field} {chance.choice(['like', 'LIKE'])} {_quoted(chance, pattern)}"


def _literal(chance: random.Random, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(chance, value) if isinstance(value, str) else repr(value)


def _quoted(chance: random.Random, text: str) -> str:
    quote = chance.choice("\"'")
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + escaped.replace("\n", "\\n").replace("\t", "\\u0009") + quote


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le},
    **{">": operator.gt, ">=": operator.ge},
}
MISSING = object()


def is_true(expression: Expression, row: Row) -> bool:
    """Whether a filter lets a row through, as `clipstack.index.filters.parse` says."""
    match expression:
        case And(conditions):
            return all(is_true(condition, row) for condition in conditions)
        case Or(conditions):
            return any(is_true(condition, row) for condition in conditions)
        case Not(condition):
            return not is_true(condition, row)
        case Exists(field):
            return value_of(row, field) is not MISSING
        case CompareFields(left, sign, right):
            return _SIGNS[sign](value_of(row, left), value_of(row, right))
        case Compare(left, sign, value):
            held = _computed(row, left) if isinstance(left, Arithmetic) else value_of(row, left)
            equal = _compares("==", held, value)
            return not equal if sign == "!=" else _compares(sign, held, value)
        case In(field, values):
            return any(_compares("==", value_of(row, field), value) for value in values)
        case Like(field, pattern):
            return _is_like(value_of(row, field), pattern)
        case Contains(field, values, quantifier):
            items = value_of(row, field)
            held = (any(_compares("==", item, value) for item in items) for value in values)
            return isinstance(items, list) and (any if quantifier == "any" else all)(held)


def value_of(row: Row, field: Field) -> Any:
    """What a row has in a field; MISSING where it has none."""
    if field.is_fixed:
        return getattr(row, field.name)
    value = _stored(row)
    for step in field.path if field.name == "$meta" else (field.name, *field.path):
        if isinstance(value, dict):
            value = value.get(str(step), MISSING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


@functools.cache
def _stored(row: Row) -> Any:
    """The dynamic fields of a row, as they come out of JSON."""
    return json.loads(json.dumps(with_derived_fields(row.facts)))


def _compares(sign: str, held: Any, value: Any) -> bool:
    if isinstance(held, bool) or isinstance(value, bool):
        return isinstance(held, bool) and isinstance(value, bool) and _SIGNS[sign](held, value)
    if isinstance(held, int | float) and isinstance(value, int | float):
        if isinstance(held, float) or isinstance(value, float):
            return _SIGNS[sign](float(held), float(value))
        return _SIGNS[sign](held, value)
    if isinstance(held, str) and isinstance(value, str):
        return _SIGNS[sign](held, value)
    return False


def _is_like(held: Any, pattern: str) -> bool:
    def meaning(match: re.Match[str]) -> str:
        return ".*" if match[0] == "%" else re.escape(match[0][-1])

    expression = re.sub(r"\\.|%|[^\\%]", meaning, pattern, flags=re.DOTALL)
    return isinstance(held, str) and bool(re.fullmatch(expression, held, re.DOTALL))


def _computed(row: Row, arithmetic: Arithmetic) -> int:
    """As C computes: division goes towards 0."""
    held, number = value_of(row, arithmetic.field), arithmetic.number
    quotient = abs(held) // number * (1 if held >= 0 else -1) if number else 0
    results = {"+": held + number, "-": held - number, "*": held * number, "/": quotient}
    return int(results.get(arithmetic.operator, held - quotient * number))
