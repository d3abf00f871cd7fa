"""The result of one check, before a stack starts or by `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended: all is well, a warning, or something can't work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: what was checked, in a word or two: "Docker", "port 19530".
        message: what it found.
        fix: what to type or change, unless the level is OK.
    """

    name: str
    level: Level
    message: str
    fix: str = ""
