"""Parsing of terms as a person types them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
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
    """A term from `WHAT`: a URL, the id of an indexed picture, a file that exists, else a text.

    A prefix `text:`, `file:` or `id:` says which it is.

    Raises:
        NotFoundError: it looks like the name of a picture file, and there is no such file.
        UsageError: it is empty, or there is no id after `id:`.
    """
    kind, colon, rest = text.strip().partition(":")
    if colon and kind == "text":
        return Term(text=_not_empty(rest, text))
    if colon and kind == "file":
        return Term(image=Path(_not_empty(rest, text)).expanduser())
    if colon and kind == "id":
        if not _ID.fullmatch(rest):
            raise UsageError(f"{text}: an id is {ID_LENGTH} digits, 0 to 9 and a to f")
        return Term(id=rest)
    what = _not_empty(text, text)
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
        NotFoundError: as `term`.
        UsageError: as `term`, or the weight is not above 0.
    """
    match = _WEIGHT.fullmatch(text.strip())
    unweighted = term(match[2] if match else text)
    weight = float(match[1]) if match else 1.0
    if weight <= 0:
        raise UsageError(
            f"{text}: a weight is above 0",
            hint="--not subtracts. For words that begin with a number, say text:WORDS.",
        )
    return replace(unweighted, weight=sign * weight)


def picture(text: str) -> Term:
    """A term from a picture's file or URL."""
    return Term(url=text) if _URL.match(text) else Term(image=Path(text).expanduser())


def like(text: str) -> Term:
    """A term from an indexed picture's id or path, for its row in the collection."""
    if _ID.fullmatch(text):
        return Term(id=text)
    path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (as scan does: no ".." stays)
    return Term(id=row_id(path), typed=text)


def _not_empty(what: str, text: str) -> str:
    if not what.strip():
        raise UsageError(f"{text!r}: nothing to search for")
    return what.strip()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False
