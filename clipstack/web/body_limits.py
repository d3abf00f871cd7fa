"""Limits on request bodies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large and how slow request bodies may be.

    Attributes:
        max_bytes: bytes of one body.
        memory: bytes of all bodies held at one time; further requests are answered with 503.
        patience: seconds until a body must begin to arrive; it may then take longer, at 32 KiB/s.
    """

    max_bytes: int
    memory: int
    patience: float
