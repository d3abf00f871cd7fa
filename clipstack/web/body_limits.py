"""Limits on the bodies of requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What request bodies may take.

    Attributes:
        max_bytes: of one body.
        memory: bytes of all bodies that are held at one time; more are told to come back.
        patience: seconds a caller may take to begin sending; a body may take longer, at 32 KiB/s.
    """

    max_bytes: int
    memory: int
    patience: float
