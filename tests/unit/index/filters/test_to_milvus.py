"""What filters become in Milvus' language; tests/stack/test_filter_equivalence.py runs them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clipstack.errors import UsageError
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
    below_folder,
)
from clipstack.index.filters.to_milvus import literal, to_milvus
from clipstack.index.schema import Row
from tests.filters_and_rows import filters, is_true, rows, value_of
from tests.unit.index.filters.test_parse import GOOD

WRITTEN = {
    "3 < width": "width > 3",
    "100 < width <= 400 or 3 >= height": "((width > 100 and width <= 400) or height <= 3)",
    "not (width > 3 and path == 'a')": 'not ((width > 3 and path == "a"))',
    "format not in ['GIF']": 'format not in ["GIF"]',
    "width % 2 == 0": "width % 2 == 0",
    "exists lat and width > 3": "((exists lat) and width > 3)",
    '$meta["lat"] > 3 and $meta["a b"][0] == true': '(lat > 3 and $meta["a b"][0] == true)',
    "json_contains(tags, 'sea')": 'json_contains(tags, "sea")',
    "json_contains_any(tags, ['a', 'b'])": 'json_contains_any(tags, ["a", "b"])',
    "path like 'a%' and lens like 'b'": '(path like "a%" and lens == "b")',
    # 2.3.5 knows no escapes
    "path like 'a\\\\_%'": '(path >= "a_" and path < "a`")',
    # 2.3.5 does not find 1.0 by 1, but 1 by 1.0
    "json_contains(tags, 1)": "json_contains(tags, 1.0)",
    "lat in [9007199254740993, 1]": "(lat == 9007199254740993 or lat == 1)",
    # so that a missing camera, and one that is no text, are found by all versions
    'camera != "a"': '(camera != "a" or not (exists camera) or camera < 0 or camera >= 0 '
    "or camera == true or camera == false or (exists camera[0]))",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_written(text: str) -> None:
    assert to_milvus(parse(text)) == WRITTEN[text]


def test_what_is_written_is_read_as_the_same() -> None:
    """But opposites of dynamic fields, lists with numbers, and escapes in patterns."""
    same = [
        text
        for text in [*GOOD, *filters(3000, seed=4)]
        if not re.search(r"not|!|contain|like", text, re.I)
    ]
    assert len(same) > 500
    for text in same:
        filter = parse(text)
        if not has_large_list(filter):
            assert parse(to_milvus(filter)) == filter, text


def has_large_list(filter: Expression) -> bool:
    match filter:
        case And(conditions) | Or(conditions):
            return any(map(has_large_list, conditions))
        case In(field, values):
            large = any(isinstance(value, int) and abs(value) >= 2**53 for value in values)
            return large and not field.is_fixed
        case _:
            return False


def test_what_is_written_means_the_same() -> None:
    some = rows(60, seed=5)
    for text in filters(1500, seed=6):
        filter = parse(text)
        again = parse(to_milvus(filter))
        assert [is_true(again, row) for row in some] == [is_true(filter, row) for row in some], text


def test_it_means_the_same_where_unknown_is_a_third_value() -> None:
    """As of Milvus 2.6.19, but in what `to_milvus` says no version can be asked for."""
    some = [row for row in rows(400, seed=7) if not is_odd(row.facts)]
    assert len(some) > 30
    for text in filters(1500, seed=8):
        filter = parse(text)
        again = parse(to_milvus(filter))
        for row in some:
            assert (answer(again, row) is True) == is_true(filter, row), (text, row.facts)


def is_odd(value: Any) -> bool:
    """Whether there is null in a value, or an object or list that is empty, or is nested."""
    if isinstance(value, dict):
        return any(map(is_odd, value.values())) or any(isinstance(v, dict) for v in value.values())
    if isinstance(value, list):
        return not value or any(isinstance(item, list | dict) or item is None for item in value)
    return value is None


def answer(filter: Expression, row: Row) -> bool | None:
    """What Milvus makes of a filter since 2.6.19; None is unknown."""
    match filter:
        case And(conditions):
            answers = {answer(condition, row) for condition in conditions}
            return False if False in answers else None if None in answers else True
        case Or(conditions):
            answers = {answer(condition, row) for condition in conditions}
            return True if True in answers else None if None in answers else False
        case Not(condition):
            inner = answer(condition, row)
            return None if inner is None else not inner
        case CompareFields() | Exists():
            return is_true(filter, row)
    left, value = compared(filter)
    held = 0 if isinstance(left, Arithmetic) else value_of(row, left)
    return is_true(filter, row) if kind(held) is kind(value) else None


def compared(filter: Compare | In | Like | Contains) -> tuple[Field | Arithmetic, Any]:
    """What is compared, and a value of the kind it is compared with."""
    match filter:
        case Compare(left, _, value):
            return left, value
        case In(field, values):
            return field, values[0]
        case Like(field):
            return field, ""
        case Contains(field):
            return field, []


def kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def test_texts_can_not_leave_their_quotes() -> None:
    assert literal("a\"b\\c'd😀") == '"a\\"b\\\\c\'d😀"'
    assert literal("a\nb\t\x7f\u2028\U000e0001") == '"a\\u000ab\\u0009\\u007f\\u2028\\U000e0001"'
    for text in ('" or width > 0 or path == "', "\\", "a\\", '\\"'):
        assert parse(f"path == {literal(text)}") == Compare(Field("path"), "==", text)


def test_folders_with_odd_names() -> None:
    for folder in ("/a", 'q"uote', "/new\nline", "/back\\", "/50%", "/émoji 😀"):
        assert parse(to_milvus(below_folder(folder))) == below_folder(folder)


def test_what_is_not_unicode() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        to_milvus(below_folder("/\udc80"))
