"""A Milvus filter expression in, its names, numbers, texts and signs out."""

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


class Unreadable(ValueError):
    """A place where no part of an expression begins."""

    def __init__(self, place: int, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.place = place
        self.why = why
        self.hint = hint


def read(text: str) -> list[Token]:
    """The parts of `text`, the last of kind "end".

    Raises:
        Unreadable: it holds something that is none.
    """
    odd = next((place for place, char in enumerate(text) if not char.isprintable()), None)
    if odd is not None:
        raise Unreadable(odd, "a filter can't hold control characters or line breaks")
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


def _stray(text: str, place: int) -> Unreadable:
    char = text[place]
    if char in "\"'":
        return Unreadable(place, "a text begins here and does not end")
    if char == "=":
        return Unreadable(place, "`=` compares nothing", "Write == for equal.")
    return Unreadable(place, f"`{char}` means nothing here", "Texts stand in quotes.")
