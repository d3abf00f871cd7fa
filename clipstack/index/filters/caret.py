"""A mark under the place of a text where it is wrong."""

from __future__ import annotations

import unicodedata

from clipstack.errors import UsageError

_SHOWN = 64


def refused(option: str, text: str, place: int, why: str, hint: str = "") -> UsageError:
    """The error for a value of `option` that is wrong at `place`, counted from 0."""
    return UsageError(
        f"{option}: {why}", hint="\n".join(filter(None, [pointed(text, place), hint]))
    )


def pointed(text: str, place: int) -> str:
    """Two lines: the text around `place`, on one line, and a caret under it."""
    text = "".join(char if char.isprintable() else " " for char in text)
    first = max(0, place - _SHOWN)
    before, after = text[first:place], text[place : place + _SHOWN]
    if first:
        before = "..." + before
    if len(text) > place + _SHOWN:
        after += "..."
    return f"  {before}{after}\n  {' ' * sum(map(_columns, before))}^"


def _columns(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
