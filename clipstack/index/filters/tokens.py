"""The parts of a filter's text: its names, numbers, texts and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<float>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    |(?P<int>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)
    |(?P<text>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    |(?P<name>\$meta|[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign><=|>=|==|!=|&&|\|\||\*\*|[<>!()\[\],+\-*/%])
    |(?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"""\\(?:
    (?P<char>[abfnrtv\\"'])
    |x(?P<hex>[0-7][0-9a-fA-F])
    |(?P<octal>[01][0-7]{2})
    |u(?P<short>[0-9a-fA-F]{4})
    |U(?P<long>[0-9a-fA-F]{8})
    |(?P<wildcard>[%_])
    )""",
    re.VERBOSE,
)
_CHARS = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))


@dataclass(frozen=True, slots=True)
class Token:
    """One part of an expression.

    Attributes:
        kind: float, int, text, name, sign or end.
        place: where it begins, from 0.
    """

    kind: str
    text: str
    place: int

    @property
    def shown(self) -> str:
        """As an error names it."""
        return f"`{self.text}`" if self.text else "the end"


class FilterSyntaxError(ValueError):
    """A place where a text stops being a filter."""

    def __init__(self, place: int, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.place = place
        self.why = why
        self.hint = hint


def read(text: str) -> list[Token]:
    """The parts of `text`, the last of kind "end".

    Raises:
        FilterFault: it holds something that is none.
    """
    odd = next((place for place, char in enumerate(text) if not char.isprintable()), None)
    if odd is not None:
        raise FilterSyntaxError(odd, "a filter can't hold control characters or line breaks")
    found: list[Token] = []
    place = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise _stray(text, place + len(text[place:]) - len(text[place:].lstrip()))
        start = match.start(match.lastgroup)
        found.append(Token(match.lastgroup, match[match.lastgroup], start))
        place = match.end()
    return found


def unquoted(token: Token, *, pattern: bool = False) -> str:
    r"""What a text stands for: without its quotes, and with its escapes resolved, as Go and Milvus
    read them.

    Args:
        pattern: it is one of `like`, in which `\%` and `\_` stay as they are.

    Raises:
        FilterFault: there is an escape without a meaning.
    """
    inner, made, start = token.text[1:-1], "", 0
    while (place := inner.find("\\", start)) >= 0:
        match = _ESCAPE.match(inner, place)
        if match is None or (match["wildcard"] and not pattern):
            escape = inner[place : place + 2]
            hint = "Write \\\\ for a backslash."
            raise FilterSyntaxError(token.place + 1 + place, f"`{escape}` means nothing", hint)
        made += inner[start:place] + _resolved(match, token.place + 1 + place)
        start = match.end()
    return made + inner[start:]


def _resolved(match: re.Match[str], place: int) -> str:
    if match["wildcard"]:
        return match[0]
    if match["char"]:
        return _CHARS[match["char"]]
    digits = match["hex"] or match["short"] or match["long"]
    number = int(digits, 16) if digits else int(match["octal"], 8)
    if number == 0 or 0xD800 <= number < 0xE000 or number > 0x10FFFF:
        raise FilterSyntaxError(place, f"`{match[0]}` is no character that a text can hold")
    return chr(number)


def _stray(text: str, place: int) -> FilterSyntaxError:
    char = text[place]
    if char in "\"'":
        return FilterSyntaxError(place, "a text begins here and does not end")
    if char == "=":
        return FilterSyntaxError(place, "`=` compares nothing", "Write == for equal.")
    return FilterSyntaxError(place, f"`{char}` means nothing here", "Texts stand in quotes.")
