"""Errors with a caret under the position of a text that is wrong."""

from __future__ import annotations

import unicodedata

from clipstack.errors import UsageError

_CONTEXT_CHARS = 64


def invalid_value(option: str, text: str, position: int, reason: str, hint: str = "") -> UsageError:
    """The error for a value of `option` that is wrong at `position`, counted from 0."""
    return UsageError(
        f"{option}: {reason}", hint="\n".join(filter(None, [underline(text, position), hint]))
    )


def underline(text: str, position: int) -> str:
    """Two lines: the text around `position`, and a caret under it."""
    text = "".join(char if char.isprintable() else " " for char in text)
    start = max(0, position - _CONTEXT_CHARS)
    before, after = text[start:position], text[position : position + _CONTEXT_CHARS]
    if start:
        before = "..." + before
    if len(text) > position + _CONTEXT_CHARS:
        after += "..."
    return f"  {before}{after}\n  {' ' * sum(map(_columns, before))}^"


def _columns(char: str) -> int:
    """Number of terminal columns that a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
