"""What was looked at before a stack starts, or by `doctor`, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended: fine, worth knowing, or in the way."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what, in a word or two: "Docker", "port 19530".
        message: what was found.
        fix: what to type or change, for all that is not OK.
    """

    name: str
    level: Level
    message: str
    fix: str = ""
