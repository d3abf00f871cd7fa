"""Translation of filters: a syntax tree in, an SQLite condition on a collection's rows out.

`parse` documents the meaning of filters. In SQL, a condition on a NULL column is NULL, which counts
as false except below NOT.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clipstack.errors import UsageError
from clipstack.index.filters.syntax import (
    EXACT,
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
    Scalar,
    starting_with,
)

T = TypeVar("T")

_MAX_PARAMETERS = 30_000
"""SQLite's limit is 32,766, and queries have others (https://sqlite.org/limits.html)."""
_MAX_INLINE_VALUES = 200
"""Up to this many values of a list are one parameter each; more are one parameter, as JSON."""
_MAX_LIST_INDEX = 2**31
"""SQLite's list indexes have 32 bits."""
_NUMBER_COLUMNS = ("lat", "lon")
"""Dynamic fields that also have a column of numbers."""
_OPERATORS = {"==": "=", "!=": "<>"}
_NUMBERS = "('integer', 'real')"


def to_sql(expression: Expression, words_table: str) -> tuple[str, list[Any]]:
    """A condition for the WHERE clause of a query on a table of rows, and its parameters.

    Args:
        words_table: name of the table (kind, word, slot) of the words in `DERIVED_FIELDS`.

    Raises:
        UsageError: it has more values than SQLite accepts.
    """
    translation = _Translation(words_table)
    condition = translation.condition(expression)
    if len(translation.parameters) > _MAX_PARAMETERS:
        raise UsageError("the filter is too long", hint="Search with parts of it, one by one.")
    return condition, translation.parameters


class _Translation:
    """The translation of one filter.

    Methods return SQL and append its parameters, so that they must be called in the SQL's order.
    """

    def __init__(self, words_table: str) -> None:
        self.parameters: list[Any] = []
        self._words = words_table

    def condition(self, expression: Expression) -> str:
        match expression:
            case And(conditions):
                return self._join("AND", conditions, self.condition)
            case Or(conditions):
                return self._join("OR", conditions, self.condition)
            case Not(inner):
                return f"(({self.condition(inner)}) IS NOT TRUE)"
            case CompareFields(left, operator, right):
                return f"{left.name} {_OPERATORS.get(operator, operator)} {right.name}"
            case Compare(left, operator, value):
                return self._compare(left, operator, value)
            case In(field, values):
                return self._in_list(field, values)
            case Like():
                return self._like(expression)
            case Exists(field):
                return self._exists(field)
            case Contains(field):
                has = self._has_words if field.is_derived else self._contains
                return has(expression)

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return "?"

    def _bind_list(self, values: Sequence[Scalar]) -> str:
        if len(values) <= _MAX_INLINE_VALUES or isinstance(values[0], float):
            return f"({', '.join(map(self._bind, values))})"
        encoded = json.dumps(values, ensure_ascii=False)
        return f"(SELECT value FROM json_each({self._bind(encoded)}))"

    def _join(self, word: str, parts: Sequence[T], translate: Callable[[T], str]) -> str:
        """Join conditions in a balanced tree, as SQLite limits the depth to 1000."""
        if len(parts) == 1:
            return translate(parts[0])
        half = len(parts) // 2
        left = self._join(word, parts[:half], translate)
        right = self._join(word, parts[half:], translate)
        return f"({left} {word} {right})"

    def _compare(self, field: Field | Arithmetic, operator: str, value: Scalar) -> str:
        if isinstance(field, Arithmetic):
            computed = f"({field.field.name} {field.operator} {self._bind(field.number)})"
            return f"{computed} {_OPERATORS[operator]} {self._bind(value)}"
        if field.is_fixed:
            return f"{field.name} {_OPERATORS.get(operator, operator)} {self._bind(value)}"
        if operator == "!=":
            return self.condition(Not(Compare(field, "==", value)))
        if field.is_derived:
            return "0"
        operator = _OPERATORS.get(operator, operator)
        if isinstance(value, str):
            return (
                f"({self._is_text(field)} AND {self._value(field)} {operator} {self._bind(value)})"
            )
        if isinstance(value, bool):
            return f"{self._type(field)} = {self._bind('true' if value else 'false')}"
        if _has_column(field, (value,)):
            return f"{field.name} {operator} {self._bind(float(value))}"
        is_number = self._is_number(field)
        if isinstance(value, float):
            real = f"CAST({self._value(field)} AS REAL)"
            return f"({is_number} AND {real} {operator} {self._bind(value)})"
        if abs(value) < EXACT:
            return f"({is_number} AND {self._value(field)} {operator} {self._bind(value)})"
        whole = f"CASE typeof({self._value(field)}) WHEN 'integer' THEN {self._value(field)}"
        whole += f" {operator} {self._bind(value)}"
        real = f"ELSE {self._value(field)} {operator} {self._bind(float(value))} END"
        return f"({is_number} AND {whole} {real})"

    def _in_list(self, field: Field, values: Sequence[Scalar]) -> str:
        if field.is_fixed:
            return f"{field.name} IN {self._bind_list(values)}"
        if field.is_derived:
            return "0"
        if isinstance(values[0], str):
            return f"({self._is_text(field)} AND {self._value(field)} IN {self._bind_list(values)})"
        if _has_column(field, values):
            return f"{field.name} IN {self._bind_list([float(value) for value in values])}"
        if any(isinstance(value, int) and abs(value) >= EXACT for value in values):
            return self._join("OR", values, lambda value: self._compare(field, "==", value))
        is_number = self._is_number(field)
        value = self._value(field)
        if isinstance(values[0], float):
            value = f"CAST({value} AS REAL)"
        return f"({is_number} AND {value} IN {self._bind_list(values)})"

    def _like(self, like: Like) -> str:
        field, parts = like.field, like.parts
        if len(parts) == 1:
            return self._compare(field, "==", parts[0])
        if like.is_prefix:
            return self.condition(starting_with(field, parts[0]))
        if field.is_derived:
            return "0"
        pattern = "*".join(map(_glob_escape, parts))
        if field.is_fixed:
            return f"{field.name} GLOB {self._bind(pattern)}"
        return f"({self._is_text(field)} AND {self._value(field)} GLOB {self._bind(pattern)})"

    def _exists(self, field: Field) -> str:
        if field.is_derived:
            return f"slot IN (SELECT slot FROM {self._words} WHERE kind = {self._bind(field.name)})"
        return f"{self._type(field)} IS NOT NULL"

    def _has_words(self, contains: Contains) -> str:
        values = [value for value in contains.values if isinstance(value, str)]
        if not values:
            return "0"

        def has_one_of(words: Sequence[str]) -> str:
            kind = f"SELECT slot FROM {self._words} WHERE kind = {self._bind(contains.field.name)}"
            return f"slot IN ({kind} AND word IN {self._bind_list(words)})"

        if contains.quantifier == "any":
            return has_one_of(values)
        return self._join("AND", values, lambda word: has_one_of([word]))

    def _contains(self, contains: Contains) -> str:
        field, values = contains.field, contains.values

        def has_one_of(values: Sequence[Scalar]) -> str:
            items = f"SELECT 1 FROM json_each({self._value(field)}) AS item"
            return f"EXISTS ({items} WHERE {self._is_item_of(values)})"

        is_list = f"{self._type(field)} = 'array'"
        if contains.quantifier == "any":
            condition = has_one_of(values)
        else:
            condition = self._join("AND", values, lambda value: has_one_of([value]))
        return f"CASE WHEN {is_list} THEN {condition} END"

    def _is_item_of(self, values: Sequence[Scalar]) -> str:
        first = values[0]
        if isinstance(first, str):
            return f"item.type = 'text' AND item.atom IN {self._bind_list(values)}"
        if isinstance(first, bool):
            types = ["true" if value else "false" for value in values]
            return f"item.type IN {self._bind_list(types)}"
        atom = "CAST(item.atom AS REAL)" if isinstance(first, float) else "item.atom"
        return f"item.type IN {_NUMBERS} AND {atom} IN {self._bind_list(values)}"

    def _is_text(self, field: Field) -> str:
        return f"{self._type(field)} = 'text'"

    def _is_number(self, field: Field) -> str:
        return f"{self._type(field)} IN {_NUMBERS}"

    def _type(self, field: Field) -> str:
        return self._extract("json_type", field)

    def _value(self, field: Field) -> str:
        return self._extract("json_extract", field)

    def _extract(self, function: str, field: Field) -> str:
        candidates = [f"{function}(facts, {self._bind(path)})" for path in _paths(field)]
        return candidates[0] if len(candidates) == 1 else f"COALESCE({', '.join(candidates)})"


def _has_column(field: Field, values: Sequence[Scalar]) -> bool:
    """Whether a field has a column, of 64-bit floats, that can be compared with these values."""
    exact = all(isinstance(value, float) or abs(int(value)) < EXACT for value in values)
    return field.name in _NUMBER_COLUMNS and not field.path and exact


def _paths(field: Field) -> list[str]:
    """JSON paths of a field: several, as a number is an index into a list or an object's key."""
    steps = field.path if field.name == "$meta" else (field.name, *field.path)
    alternatives: list[list[str]] = []
    for step in steps:
        step_texts = [f'."{step}"']
        if isinstance(step, int) and alternatives and step < _MAX_LIST_INDEX:
            step_texts.append(f"[{step}]")
        alternatives.append(step_texts)
    return ["$" + "".join(path) for path in itertools.product(*alternatives)]


def _glob_escape(text: str) -> str:
    """Escape a text for a pattern of GLOB."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)
