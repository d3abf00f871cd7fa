r"""Translation of filters: a syntax tree in, a filter expression of Milvus out.

`parse` documents the meaning of filters. Versions of Milvus differ for rows that lack a dynamic
field, or have a value of another kind: up to 2.6.18, a comparison is false for them, and its
negation true; from 2.6.19 on, both are unknown, and such rows are not found. So the negation of a
comparison with a dynamic field lists all cases in which it is true: `camera != "Canon"` becomes

    (camera != "Canon" or not (exists camera) or camera < 0 or camera >= 0 or camera == true
     or camera == false or (exists camera[0]))

No expression matches, from 2.6.19 on, a field that holds an object, or a list that begins with
null, {} or []. The negation of a comparison does not find such rows. From 2.6 on, `exists` is not
true for null, {} and [].

Milvus 2.3 itself refuses patterns of `like` with a wildcard before the end, with a message.

Source: https://github.com/milvus-io/milvus/issues/50699; tests/stack/test_filter_equivalence.py.
"""

from __future__ import annotations

from typing import assert_never

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

_KINDS = {
    str: '{0} >= ""',
    float: "{0} < 0 or {0} >= 0",
    bool: "{0} == true or {0} == false",
    list: "(exists {0}[0])",
}
"""Conditions that are true for values of each kind, by Python type."""


def to_milvus(expression: Expression) -> str:
    """A filter expression for Milvus 2.3.5 to 2.6.

    Raises:
        UsageError: a text in it is not valid Unicode.
    """
    match expression:
        case And(conditions):
            return _join("and", [to_milvus(condition) for condition in conditions])
        case Or(conditions):
            return _join("or", [to_milvus(condition) for condition in conditions])
        case Not(inner):
            return _negate(inner)
        case CompareFields(left, operator, right):
            return f"{left.name} {operator} {right.name}"
        case Compare(left, "!=", value) if not _is_definite(expression):
            return _negate(Compare(left, "==", value))
        case Compare(left, operator, value):
            return f"{_field_text(left)} {operator} {_literal(value)}"
        case In(field, values):
            return _in_list(field, values)
        case Like():
            return _like(expression)
        case Exists(field):
            return f"(exists {_field_text(field)})"  # else it would include what follows
        case Contains(field, values, quantifier):
            return _contains(field, values, quantifier)
        case _:
            assert_never(expression)


def literal(text: str) -> str:
    """`text` as a string literal of a Milvus filter.

    Raises:
        UsageError: it is not valid Unicode.
    """
    return f'"{"".join(map(_escape, text))}"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code < 0xE000:
        raise UsageError("a filter can't hold half of a character, or bytes that are not UTF-8")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _literal(value: Scalar) -> str:
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _field_text(field: Field | Arithmetic) -> str:
    if isinstance(field, Arithmetic):
        return f"{field.field.name} {field.operator} {field.number}"
    steps = [f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in field.path]
    if field.name == "$meta":  # an object, so that a number is one of its keys
        steps[0] = f'["{field.path[0]}"]'
    return field.name + "".join(steps)


def _join(word: str, conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({f' {word} '.join(conditions)})"


def _list_text(values: tuple[Scalar, ...]) -> str:
    return f"[{', '.join(map(_literal, values))}]"


def _in_list(field: Field, values: tuple[Scalar, ...]) -> str:
    name = _field_text(field)
    if not field.is_fixed and any(
        isinstance(value, int) and abs(value) >= EXACT for value in values
    ):
        # `in` converts integers to floats, `==` does not
        return _join("or", [f"{name} == {_literal(value)}" for value in values])
    return f"{name} in {_list_text(values)}"


def _like(like: Like) -> str:
    field, parts = like.field, like.parts
    if len(parts) == 1:  # in 2.3.5, an empty pattern matches any text
        return to_milvus(Compare(field, "==", parts[0]))
    if like.is_prefix and set(parts[0]) & set("%_\\"):
        return to_milvus(starting_with(field, parts[0]))  # 2.3.5 has no escapes
    return f"{_field_text(field)} like {literal(like.pattern)}"


def _contains(field: Field, values: tuple[Scalar, ...], quantifier: str) -> str:
    # 2.3.5 finds 1 by 1.0, but not 1.0 by 1
    values = tuple(float(value) if _is_whole(value) else value for value in values)
    if len(values) == 1:
        return f"json_contains({_field_text(field)}, {_literal(values[0])})"
    return f"json_contains_{quantifier}({_field_text(field)}, {_list_text(values)})"


def _is_whole(value: Scalar) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _negate(expression: Expression) -> str:
    """The negation of `expression`."""
    match expression:
        case Not(inner):
            return to_milvus(inner)
        case And(conditions) if not _is_definite(expression):
            return _join("or", [_negate(condition) for condition in conditions])
        case Or(conditions) if not _is_definite(expression):
            return _join("and", [_negate(condition) for condition in conditions])
        case Compare(left, "!=", value) if not _is_definite(expression):
            return to_milvus(Compare(left, "==", value))
        case Compare(Field() as field, operator, value) if not field.is_fixed:
            text = to_milvus(expression)
            negated = f"{_field_text(field)} != {_literal(value)}" if operator == "==" else ""
            return _or_other_kind(field, type(value), negated or f"not ({text})")
        case In(field, values) if field.is_fixed:
            return f"{_field_text(field)} not in {_list_text(values)}"
        case In(field, values):
            return _or_other_kind(field, type(values[0]), f"not ({_in_list(field, values)})")
        case Like(field) if not field.is_fixed:
            return _or_other_kind(field, str, f"not ({_like(expression)})")
        case Contains(field):
            return _or_other_kind(field, list, f"not ({to_milvus(expression)})")
        case _:
            return f"not ({to_milvus(expression)})"


def _or_other_kind(field: Field, kind: type, negated: str) -> str:
    """A condition that is true if `negated` is, or if the field is missing or of another kind."""
    name = _field_text(field)
    kind = float if kind is int else kind
    if field.is_derived:
        others = [] if kind is list else [f"(exists {name})"]
    else:
        others = [
            text.format(name) for other_kind, text in _KINDS.items() if other_kind is not kind
        ]
    return _join("or", [negated, f"not (exists {name})", *others])


def _is_definite(expression: Expression) -> bool:
    """Whether it is true or false for every row, in all versions of Milvus."""
    match expression:
        case And(conditions) | Or(conditions):
            return all(map(_is_definite, conditions))
        case Not(inner):
            return _is_definite(inner)
        case Compare(Field() as field) | In(field) | Like(field):
            return field.is_fixed
        case Contains():
            return False
        case _:
            return True
