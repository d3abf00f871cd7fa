r"""Parser for filters: a filter's text in, its syntax tree or an error with the position out.

The language is the part of Milvus' on which its versions 2.3 to 2.6 agree. `to_sql` and `to_milvus`
give every condition this meaning:

- A comparison (`==`, `<`, `in`, `like`, `json_contains`, ...) is true where the row has the field,
  the field holds a value of the literal's kind, and that value compares so. It is false otherwise:
  for a missing field, for null, for a text compared with a number.
- `not` is the opposite, so it is true where the field is missing. `a != b` is `not (a == b)`,
  `a not in b` is `not (a in b)`.
- The kinds are texts, numbers, true and false, lists, and objects. Whole numbers and others are of
  one kind, compared exactly up to 2**53; beyond, as 64-bit floats, unless both are whole. Texts
  are compared by their characters' codes, and case counts.
- `exists` is true where the row has the field, whatever it holds.
- `json_contains` looks at the items of a list, not into lists and objects among them.
- A number in brackets is an index into a list, from 0, or an object's key.
- `like` takes `%` for any text, and `\%`, `\_` and `\\` for these characters themselves.

Syntax that the versions interpret differently is refused, such as `_` in a pattern of `like`.

Source: Milvus' grammar (internal/parser/planparserv2/Plan.g4) as of 2.3, without what no version
can run on these fields (arithmetic other than before == and !=, comparing two dynamic fields).
"""

from __future__ import annotations

from typing import cast

from clipstack.index.filters import tokens
from clipstack.index.filters.caret import invalid_value
from clipstack.index.filters.operands import LIST_FUNCTIONS, Operand, OperandReader, check_kinds
from clipstack.index.filters.syntax import (
    EXACT,
    And,
    Compare,
    CompareFields,
    CompareOperator,
    Contains,
    Exists,
    Expression,
    Field,
    In,
    Like,
    Not,
    Or,
)
from clipstack.index.filters.tokens import FilterSyntaxError, Token

_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MAX_DEPTH = 50
_MAX_PATTERN_LENGTH = 10_000


def parse(text: str, option: str = "--filter") -> Expression:
    """The syntax tree of a filter.

    Args:
        option: where the user gave it, for errors.

    Raises:
        UsageError: it is not a valid filter; the hint has a caret under the position.
    """
    try:
        return _Parser(text).run()
    except FilterSyntaxError as error:
        raise invalid_value(option, text, error.position, error.reason, error.hint) from None


class _Parser(OperandReader):
    """A recursive descent parser."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def run(self) -> Expression:
        if self.token.kind == "end":
            raise FilterSyntaxError(0, "it is empty")
        expression = self._or_expression()
        token = self.token
        if token.text in ("AND", "OR"):
            raise FilterSyntaxError(
                token.position, f"write `{token.text.lower()}` in small letters"
            )
        if token.kind != "end":
            raise self.unexpected("`and`, `or` or the end")
        return expression

    def _or_expression(self) -> Expression:
        conditions = [self._and_expression()]
        while self.take("or", "||"):
            conditions.append(self._and_expression())
        return conditions[0] if len(conditions) == 1 else Or(tuple(conditions))

    def _and_expression(self) -> Expression:
        conditions = [self._condition()]
        while self.take("and", "&&"):
            conditions.append(self._condition())
        return conditions[0] if len(conditions) == 1 else And(tuple(conditions))

    def _condition(self) -> Expression:
        token = self.token
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FilterSyntaxError(token.position, "it is nested too deep")
        condition: Expression
        if self.take("not", "!"):
            if not self.at("("):
                raise self.unexpected("`(`", "`not` stands before parentheses: not (...)")
            condition = Not(self._condition())
        elif self.take("("):
            condition = self._or_expression()
            self.expect(")", token)
        elif self.take("exists", "EXISTS"):
            condition = self._exists()
        elif token.kind == "name" and token.text.lower() in LIST_FUNCTIONS:
            condition = self._contains(token)
        else:
            condition = self._comparison()
        self._depth -= 1
        return condition

    def _exists(self) -> Expression:
        operand = self.operand()
        if not operand.field or operand.field.is_fixed:
            raise FilterSyntaxError(operand.position, "`exists` takes a field that rows may lack")
        return Exists(operand.field)

    def _contains(self, function: Token) -> Expression:
        self.take()
        opened = self.token
        self.expect("(")
        left = self.value()
        if left.kind or not left.field:
            raise FilterSyntaxError(left.position, f"`{function.text}` takes a list such as tags")
        self.expect(",")
        argument = self.value()
        takes_list = function.text.lower() != "json_contains"
        if argument.field or (argument.kind == "list") is not takes_list:
            expected = 'a list such as ["dog", "sea"]' if takes_list else 'one value such as "dog"'
            raise FilterSyntaxError(argument.position, f"`{function.text}` takes {expected}")
        items = argument.items if takes_list else (argument,)
        if not items:
            raise FilterSyntaxError(argument.position, "the list is empty")
        for item in items:
            if isinstance(item.value, int) and abs(item.value) >= EXACT:
                reason = f"`{function.text}` takes whole numbers below {EXACT} only"
                raise FilterSyntaxError(item.position, reason)
        self.expect(")", opened)
        is_any = function.text.lower() == "json_contains_any"
        return Contains(left.field, _values(items), "any" if is_any else "all")

    def _comparison(self) -> Expression:
        left = self.value()
        sign = self.token
        if self.take(*_COMPARISONS):
            return self._compare(left, sign)
        if self.take("like", "LIKE"):
            return self._like(left)
        if self.take("in"):
            return self._in_list(left)
        if self.take("not") and self.take("in"):
            return Not(self._in_list(left))
        if sign.text in ("IN", "NOT"):
            raise FilterSyntaxError(sign.position, f"write `{sign.text.lower()}` in small letters")
        if left.field:
            example = "1" if left.kind == "int" else '"..."'
            raise self.unexpected(f"a comparison, such as {left.field.name} == {example}")
        raise self.unexpected("a comparison")

    def _compare(self, left: Operand, sign: Token) -> Expression:
        right = self.value()
        operator = cast("CompareOperator", sign.text)
        if left.field and right.field:
            if not (left.kind and left.kind == right.kind):
                raise FilterSyntaxError(
                    right.position, "only two numbers or two texts of every row compare"
                )
            if left.arithmetic or right.arithmetic:
                raise FilterSyntaxError(right.position, "arithmetic is compared with a number")
            return CompareFields(left.field, operator, right.field)
        operand, literal = (left, right) if left.field else (right, left)
        if not operand.field:
            raise FilterSyntaxError(left.position, "this compares no field")
        if operand.arithmetic and sign.text not in ("==", "!="):
            raise FilterSyntaxError(sign.position, "arithmetic stands only before == and !=")
        check_kinds(operand, literal)
        if literal.kind == "bool" and sign.text not in ("==", "!="):
            raise FilterSyntaxError(sign.position, "true and false compare with == and != only")
        compared = operand.arithmetic or operand.field
        if left.field:
            return Compare(compared, operator, literal.value)
        mirrored = cast("CompareOperator", _MIRRORED.get(operator, operator))
        first = Compare(compared, mirrored, literal.value)
        if operator in _MIRRORED and self.at(operator[0], operator[0] + "="):
            return And((first, self._chained_comparison(operand, operand.field)))
        return first

    def _chained_comparison(self, operand: Operand, field: Field) -> Expression:
        """Read the second comparison of `100 < width < 400`."""
        sign = self.token
        if not operand.kind:
            raise FilterSyntaxError(sign.position, "this field takes two comparisons, with `and`")
        self.take()
        last = self.value()
        if last.field:
            raise FilterSyntaxError(last.position, "a number or a text belongs here")
        check_kinds(operand, last)
        return Compare(field, cast("CompareOperator", sign.text), last.value)

    def _like(self, left: Operand) -> Expression:
        if not left.field or left.kind not in ("text", ""):
            raise FilterSyntaxError(left.position, "`like` compares a field that holds a text")
        token = self.token
        if token.kind != "text":
            raise self.unexpected('a text such as "IMG%"')
        like = Like(left.field, _pattern(token))
        if not like.is_prefix and any(part.endswith("\\") for part in like.parts[:-1]):
            reason = "versions of Milvus read a backslash before a wildcard differently"
            raise FilterSyntaxError(token.position, reason)
        self.take()
        return like if len(like.parts) > 1 else Compare(left.field, "==", like.parts[0])

    def _in_list(self, left: Operand) -> Expression:
        if not left.field:
            raise FilterSyntaxError(left.position, "a field stands before `in`")
        if left.arithmetic:
            raise FilterSyntaxError(left.position, "arithmetic stands only before == and !=")
        start = self.token.position
        if not self.at("["):
            raise self.unexpected("a list in brackets, such as [1, 2]")
        items = self.list(left)
        if not items:
            raise FilterSyntaxError(start, "the list is empty")
        return In(left.field, _values(items))


def _values(items: tuple[Operand, ...]) -> tuple[str | int | float | bool, ...]:
    return tuple(item.value for item in items)


def _pattern(token: Token) -> str:
    """The pattern of `like`; see `Like.pattern`."""
    pattern = tokens.unquote(token, pattern=True)
    unescaped = pattern
    for escape in ("\\\\", "\\%", "\\_"):
        unescaped = unescaped.replace(escape, "")
    if "\\" in unescaped:
        raise FilterSyntaxError(token.position, "in a pattern, `\\` stands before %, _ or \\ only")
    if "_" in unescaped:
        reason = "versions of Milvus read `_` in a pattern differently"
        raise FilterSyntaxError(token.position, reason, "For the character itself, write \\_.")
    if len(pattern) > _MAX_PATTERN_LENGTH:
        raise FilterSyntaxError(token.position, "the pattern is too long")
    return pattern
