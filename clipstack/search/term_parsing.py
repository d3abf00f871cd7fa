"""What a person types for a term in, the Term it means out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from clipstack.errors import NotFoundError, UsageError
from clipstack.images import formats
from clipstack.index.schema import ID_LENGTH, row_id
from clipstack.search.query import Term

_WEIGHT = re.compile(r"([-+]?(?:\d+(?:\.\d*)?|\.\d+)):(.+)", re.DOTALL)
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")
_URL = re.compile(r"https?://", re.IGNORECASE)
_PATH = re.compile(r"~?/|\.\.?/")


def term(text: str) -> Term:
    """A term from `WHAT`: a file that exists, a URL, the id of an indexed picture, else a text.

    `text:`, `file:` and `id:` in front say which it is.

    Raises:
        NotFoundError: it is named like a picture file, and there is none.
        UsageError: there is nothing, or no id after `id:`.
    """
    kind, found, rest = text.strip().partition(":")
    if found and kind == "text":
        return Term(text=_something(rest, text))
    if found and kind == "file":
        return Term(image=Path(_something(rest, text)).expanduser())
    if found and kind == "id":
        if not _ID.fullmatch(rest):
            raise UsageError(f"{text}: an id is {ID_LENGTH} digits, 0 to 9 and a to f")
        return Term(id=rest)
    what = _something(text, text)
    if _URL.match(what):
        return Term(url=what)
    if _ID.fullmatch(what):
        return Term(id=what)
    file = Path(what).expanduser()
    if _is_file(file):
        return Term(image=file)
    if _PATH.match(what) or formats.extension(what) in formats.EXTENSIONS:
        raise NotFoundError(
            f"{what}: there is no such file", hint=f'To look for the words, say "text:{what}".'
        )
    return Term(text=what)


def weighted(text: str, sign: Literal[1, -1] = 1) -> Term:
    """A term from `[WEIGHT:]WHAT`; `sign` -1 subtracts it.

    Raises:
        As `term`; also UsageError for a weight that is not above 0.
    """
    match = _WEIGHT.fullmatch(text.strip())
    made = term(match[2] if match else text)
    weight = float(match[1]) if match else 1.0
    if weight <= 0:
        raise UsageError(
            f"{text}: a weight is above 0",
            hint="--not subtracts. For words that begin with a number, say text:WORDS.",
        )
    return Term(made.text, made.image, sign * weight, made.url, made.id)


def picture(text: str) -> Term:
    """A term from a picture's file or URL."""
    return Term(url=text) if _URL.match(text) else Term(image=Path(text).expanduser())


def like(text: str) -> Term:
    """A term from an indexed picture's id or path: its row in the collection."""
    if _ID.fullmatch(text):
        return Term(id=text)
    path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (as scan does: no ".." stays)
    return Term(id=row_id(path), said=text)


def _something(what: str, text: str) -> str:
    if not what.strip():
        raise UsageError(f"{text!r}: nothing to search for")
    return what.strip()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False
