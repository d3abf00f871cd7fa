"""Parsing the operands of a filter: fields, arithmetic on them, literals and lists."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from typing import Any, cast

from clipstack.index.filters import tokens
from clipstack.index.filters.syntax import NUMBERS, TEXTS, Arithmetic, Field, Scalar
from clipstack.index.filters.tokens import FilterSyntaxError, Token
from clipstack.index.schema import DYNAMIC_FIELDS

FIELDS = (*TEXTS, *NUMBERS, *DYNAMIC_FIELDS)
LIST_FUNCTIONS = ("json_contains", "json_contains_all", "json_contains_any")
_RESERVED_WORDS = ("and", "or", "not", "in", "like", "exists", "true", "false", *LIST_FUNCTIONS)
_MAX_INDEXES = 3
"""Most numbers in the brackets of one field."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A literal, a field, or a field with arithmetic.

    Attributes:
        kind: text, int, float, bool or list, of a literal or a fixed field; "" for a dynamic field.
        position: where it begins in the filter, from 0.
        field: None for a literal.
        arithmetic: on the field, if any.
        value: of a literal other than a list.
        items: of a list.
    """

    kind: str
    position: int
    field: Field | None = None
    arithmetic: Arithmetic | None = None
    value: Scalar = ""
    items: tuple[Operand, ...] = ()


class OperandReader:
    """Reads the tokens and operands of a filter from left to right.

    Args:
        text: the filter.

    Raises:
        FilterSyntaxError: raised by each method if the text is not a filter.
    """

    def __init__(self, text: str) -> None:
        self._tokens = tokens.tokenize(text)
        self._next = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._next]

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these names or operators."""
        return self.token.kind in ("name", "sign") and self.token.text in texts

    def take(self, *texts: str) -> Token | None:
        """Consume and return the next token; None if it is not one of `texts`, if any are given."""
        if texts and not self.at(*texts):
            return None
        token = self.token
        self._next += 1
        return token

    def expect(self, text: str, opened: Token | None = None) -> None:
        """Consume `text`, which closes `opened`."""
        if self.take(text):
            return
        if opened:
            raise FilterSyntaxError(self.token.position, f"`{text}` is missing")
        raise self.unexpected(f"`{text}`")

    def unexpected(self, expected: str, hint: str = "") -> FilterSyntaxError:
        """The error for a next token that is not the expected one."""
        reason = f"{self.token.label} where {expected} belongs"
        return FilterSyntaxError(self.token.position, reason, hint)

    def value(self) -> Operand:
        """Read a literal, a field, or a field with arithmetic."""
        operand = self.operand()
        while self.at("+", "-", "*", "/", "%"):
            sign, number = self._tokens[self._next : self._next + 2]
            self.take()
            field = operand.field
            if operand.kind != "int" or not field or operand.arithmetic or number.kind != "int":
                raise FilterSyntaxError(
                    sign.position,
                    "arithmetic is one of the fields that are numbers and one whole number",
                )
            value = cast("int", self.operand().value)
            if sign.text in "/%" and not value:
                raise FilterSyntaxError(number.position, "nothing can be divided by 0")
            if sign.text == "%" and field.name == "mtime_ns":  # 2.3 computes it with floats
                reason = "versions of Milvus compute `%` of so large numbers differently"
                raise FilterSyntaxError(sign.position, reason)
            arithmetic = Arithmetic(field, cast("Any", sign.text), value)
            operand = replace(operand, arithmetic=arithmetic)
        return operand

    def operand(self) -> Operand:
        """Read a literal or a field."""
        token = self.token
        position = token.position
        sign = self.take("-", "+")
        if sign:
            if self.token.kind not in ("int", "float"):
                raise self.unexpected("a number")
            token = self.token
        if self.at("["):
            return Operand("list", position, items=self.list())
        if token.kind == "name":
            return self._read_name(token)
        value: Scalar
        if token.kind == "text":
            value = tokens.unquote(token)
        elif token.kind in ("int", "float"):
            number = _number(token)
            value = -number if sign and sign.text == "-" else number
        else:
            raise self.unexpected("a field, a number or a text")
        self.take()
        return Operand(token.kind, position, value=value)

    def list(self, operand: Operand | None = None) -> tuple[Operand, ...]:
        """Read a list of literals, each of a kind that `operand` can be compared with."""
        opened = self.token
        self.expect("[")
        items: list[Operand] = []
        while not self.at("]"):
            item = self.value()
            if item.field or item.kind in ("list", "bool"):
                raise FilterSyntaxError(item.position, "a list holds numbers or texts")
            if operand:
                check_kinds(operand, item)
            items.append(item)
            if items[0].kind != item.kind:
                raise FilterSyntaxError(item.position, "a list holds values of one kind")
            if not self.take(","):
                break
        self.expect("]", opened)
        return tuple(items)

    def _read_name(self, token: Token) -> Operand:
        name = token.text
        if name.lower() in ("true", "false"):
            self.take()
            return Operand("bool", token.position, value=name.lower() == "true")
        if name == "vector":
            raise FilterSyntaxError(token.position, "the vector can't be compared")
        if name in _RESERVED_WORDS or (name not in FIELDS and name != "$meta"):
            raise self._unknown_field(token)
        self.take()
        if name == "$meta" and not self.at("["):
            raise self.unexpected('a name in brackets, such as $meta["camera"]')
        field = _resolve_meta(Field(name, self._read_path(token)), token.position)
        kind = "text" if name in TEXTS else "int" if name in NUMBERS else ""
        return Operand(kind, token.position, field)

    def _read_path(self, name: Token) -> tuple[str | int, ...]:
        """Read the keys in brackets after a field."""
        end = name.position + len(name.text)
        path: list[str | int] = []
        while self.at("["):
            opened = self.token
            if opened.position != end:
                raise FilterSyntaxError(opened.position, "no space belongs before this bracket")
            if name.text in (*TEXTS, *NUMBERS):
                raise self.unexpected("a comparison")
            self.take()
            if self.token.kind not in ("int", "text"):
                raise self.unexpected("a number or a name in quotes")
            inner = self.token
            path.append(_key(inner))
            self.take()
            end = self.token.position + 1
            self.expect("]", opened)
            if inner.position + len(inner.text) + 1 != end or inner.position != opened.position + 1:
                raise FilterSyntaxError(opened.position, "no space belongs inside these brackets")
        return tuple(path)

    def _unknown_field(self, token: Token) -> FilterSyntaxError:
        if token.text in _RESERVED_WORDS:
            return self.unexpected("a field, a number or a text")
        if self._tokens[self._next + 1].text == "(":
            functions = ", ".join(LIST_FUNCTIONS)
            return FilterSyntaxError(
                token.position, f"no function {token.text!r}", f"There is: {functions}."
            )
        suggestions = difflib.get_close_matches(token.text, FIELDS, 1)
        hint = (
            f"Did you mean {suggestions[0]}?" if suggestions else f"There is: {', '.join(FIELDS)}."
        )
        return FilterSyntaxError(token.position, f"there is no field {token.text!r}", hint)


def check_kinds(operand: Operand, literal: Operand) -> None:
    """Raise FilterSyntaxError if a fixed field is compared with a literal of another kind."""
    if literal.kind == "list":
        raise FilterSyntaxError(literal.position, "a list stands behind `in`")
    if not operand.field or not operand.kind or operand.kind == literal.kind:
        return
    expected = "a text, in quotes" if operand.kind == "text" else "a whole number"
    raise FilterSyntaxError(literal.position, f"{operand.field.name} compares with {expected}")


def _number(token: Token) -> int | float:
    if token.kind == "float":
        if not math.isfinite(float(token.text)):
            raise FilterSyntaxError(token.position, "the number is too large")
        return float(token.text)
    number = int(token.text, 0 if token.text[1:2].isalpha() else 10)
    if token.text != str(number):
        raise FilterSyntaxError(token.position, "versions of Milvus read this number differently")
    if number >= 2**63:
        raise FilterSyntaxError(token.position, "the number is too large")
    return number


def _key(token: Token) -> str | int:
    """The key in brackets; a string that is a number is the same key as that number."""
    if token.kind == "int":
        number = _number(token)
        assert isinstance(number, int)
        return number
    key = token.text[1:-1]
    if not key:
        raise FilterSyntaxError(token.position, "the name is empty")
    if "\\" in key or '"' in key:
        raise FilterSyntaxError(
            token.position, "a name in brackets can't hold quotes or backslashes"
        )
    is_number = key.isascii() and key.isdigit() and str(int(key)) == key and int(key) < 2**63
    return int(key) if is_number else key


def _resolve_meta(field: Field, position: int) -> Field:
    """The field under its own name, if `$meta` is used for a field that has one."""
    if field.name == "$meta":
        first = field.path[0]
        if first in (*TEXTS, *NUMBERS, "vector"):
            reason = f"{first} is a field of every row, and not in $meta"
            raise FilterSyntaxError(position, reason, f"Write {first} alone.")
        if first in DYNAMIC_FIELDS:
            field = Field(str(first), field.path[1:])
    if field.is_derived and field.path:
        hint = f'Write json_contains({field.name}, "...").'
        raise FilterSyntaxError(position, f"the words in {field.name} have no order", hint)
    if sum(isinstance(step, int) for step in field.path) > _MAX_INDEXES:
        raise FilterSyntaxError(
            position, f"at most {_MAX_INDEXES} numbers stand in a field's brackets"
        )
    return field
