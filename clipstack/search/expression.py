"""A Milvus filter expression in, where and why it is none out.

Milvus 2.3 describes a mistake in the words of its parser's grammar. Milvus Lite's parser leaves
out what it can't read, prints a line of its own and goes on with the rest: `width > 300 @ 9`
finds what `width > 300` does. So an expression is read here first.

Source: Milvus' grammar (internal/parser/planparserv2/Plan.g4) as of 2.3, without what no version
runs on these fields (arithmetic but before == and !=, two dynamic fields compared).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from clipstack.errors import UsageError
from clipstack.index.schema import DYNAMIC
from clipstack.search import tokens
from clipstack.search.pointing import refused
from clipstack.search.tokens import Token

_TEXTS = ("id", "path", "digest", "format")
_NUMBERS = ("size", "mtime_ns", "width", "height", "taken_at", "imported_at")
FIELDS = (*_TEXTS, *_NUMBERS, *DYNAMIC)
_COMPARE = ("<", "<=", ">", ">=", "==", "!=")
_IN_LISTS = ("json_contains", "json_contains_all", "json_contains_any")
_WORDS = ("and", "or", "not", "in", "like", "exists", "true", "false", *_IN_LISTS)
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Value:
    """Something that can be compared.

    Attributes:
        kind: text, int, float, bool or list, of a literal or a fixed field; "" for a dynamic one.
        field: its name, or "" for a literal.
        computed: whether it is a field and some arithmetic.
    """

    kind: str
    place: int
    field: str = ""
    computed: bool = False


def check(text: str, *, embedded: bool = False, option: str = "--filter") -> None:
    """Raises UsageError, with a caret under the place, where `text` is no filter of a collection.

    Args:
        embedded: it is for Milvus Lite, which has no `not` and no `exists`.
    """
    _Parser(text, embedded, option).run()


class _Parser:
    """One pass over an expression, from left to right."""

    def __init__(self, text: str, embedded: bool, option: str) -> None:
        self._text = text
        self._embedded = embedded
        self._option = option
        try:
            self._tokens = tokens.read(text)
        except tokens.Unreadable as error:
            raise self._error(error.place, error.why, error.hint) from None
        self._next = 0
        self._depth = 0

    def run(self) -> None:
        if self._token.kind == "end":
            raise self._error(0, "it is empty")
        self._any_of()
        token = self._token
        if token.text in ("AND", "OR"):
            raise self._error(token.place, f"write `{token.text.lower()}` in small letters")
        if token.kind != "end":
            raise self._unexpected("`and`, `or` or the end")

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _is(self, *texts: str) -> bool:
        return self._token.kind in ("name", "sign") and self._token.text in texts

    def _take(self, *texts: str) -> Token | None:
        if texts and not self._is(*texts):
            return None
        token = self._token
        self._next += 1
        return token

    def _expect(self, text: str, opened: Token | None = None) -> None:
        if self._take(text):
            return
        if opened:
            raise self._error(self._token.place, f"`{text}` is missing")
        raise self._unexpected(f"`{text}`")

    def _any_of(self) -> None:
        self._all_of()
        while self._take("or", "||"):
            self._all_of()

    def _all_of(self) -> None:
        self._condition()
        while self._take("and", "&&"):
            self._condition()

    def _condition(self) -> None:
        token = self._token
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(token.place, "it is nested too deep")
        if self._take("not", "!"):
            self._refuse_embedded(token, "Write != or `not in`, or turn the comparison round.")
            if not self._is("("):
                raise self._unexpected("`(`", "`not` stands before parentheses: not (...)")
            self._condition()
        elif self._take("("):
            self._any_of()
            self._expect(")", token)
        elif self._take("exists", "EXISTS"):
            self._refuse_embedded(token, 'Compare it: `lat >= -90`, `camera != ""`.')
            field = self._value()
            if field.field not in DYNAMIC and field.field != "$meta":
                raise self._error(field.place, "`exists` takes a field that rows may lack")
        elif token.kind == "name" and token.text.lower() in _IN_LISTS:
            self._contains()
        else:
            self._comparison()
        self._depth -= 1

    def _refuse_embedded(self, token: Token, hint: str) -> None:
        if self._embedded:
            raise self._error(token.place, f"the embedded target has no `{token.text}`", hint)

    def _contains(self) -> None:
        function = self._tokens[self._next]
        self._next += 1
        opened = self._token
        self._expect("(")
        field = self._value()
        if field.kind or not field.field:
            raise self._error(field.place, f"`{function.text}` takes a list such as tags")
        self._expect(",")
        wanted = self._value()
        takes_list = function.text.lower() != "json_contains"
        if wanted.field or (wanted.kind == "list") is not takes_list:
            what = 'a list such as ["dog", "sea"]' if takes_list else 'one value such as "dog"'
            raise self._error(wanted.place, f"`{function.text}` takes {what}")
        self._expect(")", opened)

    def _comparison(self) -> None:
        left = self._value()
        sign = self._token
        if self._take(*_COMPARE):
            self._compare(left, sign)
        elif self._take("like", "LIKE"):
            if not left.field or left.kind not in ("text", ""):
                raise self._error(left.place, "`like` compares a field that holds a text")
            if self._token.kind != "text":
                raise self._unexpected('a text such as "IMG%"')
            self._take()
        elif self._take("in") or (self._take("not") and self._take("in")):
            self._among(left)
        elif sign.text in ("IN", "NOT"):
            raise self._error(sign.place, f"write `{sign.text.lower()}` in small letters")
        elif left.field:
            name = left.field
            raise self._unexpected(f"a comparison, such as {name} == {_example(left.kind)}")
        else:
            raise self._unexpected("a comparison")

    def _compare(self, left: _Value, sign: Token) -> None:
        right = self._value()
        if not left.field and not right.field:
            raise self._error(left.place, "this compares no field")
        if left.field and right.field and not (left.kind and left.kind == right.kind):
            raise self._error(right.place, "only two numbers or two texts of every row compare")
        if left.field and right.field:
            if left.computed or right.computed:
                raise self._error(right.place, "arithmetic is compared with a number")
            return
        field, literal = (left, right) if left.field else (right, left)
        if field.computed and sign.text not in ("==", "!="):
            raise self._error(sign.place, "arithmetic stands only before == and !=")
        self._match(field, literal)
        if self._is(sign.text[0], sign.text[0] + "=") and sign.text[0] in "<>" and not left.field:
            if not field.kind:
                raise self._error(self._token.place, "this field takes two comparisons, with `and`")
            self._take()  # 100 < width < 400
            last = self._value()
            if last.field:
                raise self._error(last.place, "a number or a text belongs here")
            self._match(field, last)

    def _match(self, field: _Value, literal: _Value) -> None:
        """Raises where a fixed field is compared with what it never holds."""
        if literal.kind == "list":
            raise self._error(literal.place, "a list stands behind `in`")
        if not field.kind or field.kind == literal.kind:
            return
        needs = "a text, in quotes" if field.kind == "text" else "a whole number"
        raise self._error(literal.place, f"{field.field} compares with {needs}")

    def _among(self, left: _Value) -> None:
        if not left.field:
            raise self._error(left.place, "a field stands before `in`")
        start = self._token.place
        if not self._is("["):
            raise self._unexpected("a list in brackets, such as [1, 2]")
        self._list(left)
        if self._next and self._tokens[self._next - 2].text == "[":
            raise self._error(start, "the list is empty")

    def _list(self, field: _Value | None = None) -> None:
        opened = self._token
        self._expect("[")
        first: _Value | None = None
        while not self._is("]"):
            value = self._value()
            if value.field or value.kind in ("list", "bool"):
                raise self._error(value.place, "a list holds numbers or texts")
            if field:
                self._match(field, value)
            first = first or value
            if first.kind != value.kind:
                raise self._error(value.place, "a list holds values of one kind")
            if not self._take(","):
                break
        self._expect("]", opened)

    def _value(self) -> _Value:
        found = self._operand()
        while self._is("+", "-", "*", "/", "%"):
            sign = self._token
            self._take()
            number = self._token
            if found.kind != "int" or not found.field or found.computed or number.kind != "int":
                raise self._error(
                    sign.place,
                    "arithmetic is one of the fields that are numbers and one whole number",
                )
            if sign.text in "/%" and not int(number.text):
                raise self._error(number.place, "nothing can be divided by 0")
            self._operand()
            found = _Value(found.kind, found.place, found.field, computed=True)
        return found

    def _operand(self) -> _Value:
        token = self._token
        place = token.place
        if self._take("-", "+"):
            if self._token.kind not in ("int", "float"):
                raise self._unexpected("a number")
            token = self._token
        if self._is("["):
            self._list()
            return _Value("list", place)
        if token.kind == "name":
            return self._named(token)
        if token.kind not in ("int", "float", "text"):
            raise self._unexpected("a field, a number or a text")
        if token.kind == "int":
            self._check_number(token)
        self._take()
        return _Value(token.kind, place)

    def _check_number(self, token: Token) -> None:
        if token.text != str(int(token.text, 0 if token.text[1:2].isalpha() else 10)):
            raise self._error(token.place, "versions of Milvus read this number differently")
        if int(token.text) >= 2**63:
            raise self._error(token.place, "the number is too large")

    def _named(self, token: Token) -> _Value:
        name = token.text
        if name.lower() in ("true", "false"):
            self._take()
            return _Value("bool", token.place)
        if name == "vector":
            raise self._error(token.place, "the vector can't be compared")
        if name in _WORDS or (name not in FIELDS and name != "$meta"):
            raise self._no_field(token)
        self._take()
        if name == "$meta" and not self._is("["):
            raise self._unexpected('a name in brackets, such as $meta["camera"]')
        end = token.place + len(name)
        while self._is("["):
            opened = self._token
            if opened.place != end:
                raise self._error(opened.place, "no space belongs before this bracket")
            if name in (*_TEXTS, *_NUMBERS):
                raise self._unexpected("a comparison")
            self._take()
            if self._token.kind not in ("int", "text"):
                raise self._unexpected("a number or a name in quotes")
            inner = self._token
            self._take()
            end = self._token.place + 1
            self._expect("]", opened)
            if inner.place + len(inner.text) + 1 != end or inner.place != opened.place + 1:
                raise self._error(opened.place, "no space belongs inside these brackets")
        kind = "text" if name in _TEXTS else "int" if name in _NUMBERS else ""
        return _Value(kind, token.place, name)

    def _no_field(self, token: Token) -> UsageError:
        if token.text in _WORDS:
            return self._unexpected("a field, a number or a text")
        if self._tokens[self._next + 1].text == "(":
            have = ", ".join(_IN_LISTS)
            return self._error(token.place, f"no function {token.text!r}", f"There is: {have}.")
        near = difflib.get_close_matches(token.text, FIELDS, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There is: {', '.join(FIELDS)}."
        return self._error(token.place, f"there is no field {token.text!r}", hint)

    def _unexpected(self, wanted: str, hint: str = "") -> UsageError:
        return self._error(self._token.place, f"{self._token.shown} where {wanted} belongs", hint)

    def _error(self, place: int, why: str, hint: str = "") -> UsageError:
        return refused(self._option, self._text, place, why, hint)


def _example(kind: str) -> str:
    return "1" if kind == "int" else '"..."'
