"""Tokens of a filter: names, numbers, strings and operators."""

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
    """A token of a filter.

    Attributes:
        kind: float, int, text, name, sign or end.
        position: where it begins, from 0.
    """

    kind: str
    text: str
    position: int

    @property
    def label(self) -> str:
        """Its name in errors."""
        return f"`{self.text}`" if self.text else "the end"


class FilterSyntaxError(ValueError):
    """A text is not a filter.

    Attributes:
        position: of the first wrong token, from 0.
    """

    def __init__(self, position: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason
        self.hint = hint


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, the last one of kind "end".

    Raises:
        FilterSyntaxError: it has something that is not a token.
    """
    unprintable = next(
        (position for position, char in enumerate(text) if not char.isprintable()), None
    )
    if unprintable is not None:
        raise FilterSyntaxError(
            unprintable, "a filter can't hold control characters or line breaks"
        )
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _stray_character_error(
                text, position + len(text[position:]) - len(text[position:].lstrip())
            )
        start = match.start(match.lastgroup)
        tokens.append(Token(match.lastgroup, match[match.lastgroup], start))
        position = match.end()
    return tokens


def unquote(token: Token, *, pattern: bool = False) -> str:
    r"""The value of a string token, with the escape sequences of Go and Milvus.

    Args:
        pattern: it is a pattern of `like`, in which `\%` and `\_` stay as they are.

    Raises:
        FilterSyntaxError: it has an unknown escape sequence.
    """
    content, resolved, start = token.text[1:-1], "", 0
    while (position := content.find("\\", start)) >= 0:
        match = _ESCAPE.match(content, position)
        if match is None or (match["wildcard"] and not pattern):
            escape = content[position : position + 2]
            hint = "Write \\\\ for a backslash."
            raise FilterSyntaxError(
                token.position + 1 + position, f"`{escape}` means nothing", hint
            )
        resolved += content[start:position] + _unescape(match, token.position + 1 + position)
        start = match.end()
    return resolved + content[start:]


def _unescape(match: re.Match[str], position: int) -> str:
    if match["wildcard"]:
        return match[0]
    if match["char"]:
        return _CHARS[match["char"]]
    digits = match["hex"] or match["short"] or match["long"]
    number = int(digits, 16) if digits else int(match["octal"], 8)
    if number == 0 or 0xD800 <= number < 0xE000 or number > 0x10FFFF:
        raise FilterSyntaxError(position, f"`{match[0]}` is no character that a text can hold")
    return chr(number)


def _stray_character_error(text: str, position: int) -> FilterSyntaxError:
    char = text[position]
    if char in "\"'":
        return FilterSyntaxError(position, "a text begins here and does not end")
    if char == "=":
        return FilterSyntaxError(position, "`=` compares nothing", "Write == for equal.")
    return FilterSyntaxError(position, f"`{char}` means nothing here", "Texts stand in quotes.")
