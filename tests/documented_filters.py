"""The examples of docs/filters.md."""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = (Path(__file__).parents[1] / "docs" / "filters.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(.+?)` \|.*?(?:\| (no|found) )?\|$", re.MULTILINE)

EXAMPLES: dict[str, bool | None] = {
    text: {"found": True, "no": False, "": None}[answer] for text, answer in _ROW.findall(_TEXT)
} | dict.fromkeys(re.findall(r"--filter '(.+)'", _TEXT))
"""By a filter, whether it finds a picture that lacks the field; None where that is not said."""
