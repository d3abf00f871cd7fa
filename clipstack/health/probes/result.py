"""The result of probing one service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ProbeStatus(StrEnum):
    """Whether a service works, answers without working, or does not answer."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found out about one service.

    Attributes:
        url: of the service; a path for a file.
        latency: milliseconds that its responses took, or None without any.
        version: of the server, or the name of the encoder's model; "" if unknown.
        reason: what is wrong, or worth knowing.
        hint: what to type or change, unless the status is OK.
    """

    name: str
    status: ProbeStatus
    url: str
    latency: float | None = None
    version: str = ""
    reason: str = ""
    hint: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the service works."""
        return self.status is ProbeStatus.OK


class ProbeError(Exception):
    """What a probe found wrong, which ends the probe."""

    def __init__(self, status: ProbeStatus, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


@dataclass(slots=True)
class ProbeNotes:
    """What a probe finds out on its way; the result has it after an error too."""

    version: str = ""
    reason: str = ""


def run_probe(name: str, url: str, work: Callable[[ProbeNotes], None]) -> ProbeResult:
    """Run one probe and time it.

    Args:
        name, url: of the service.
        work: sends requests to the service; raises ProbeError for what is wrong.
    """
    notes = ProbeNotes()
    started = time.monotonic()
    status, reason, hint = ProbeStatus.OK, "", ""
    try:
        work(notes)
    except ProbeError as error:
        status, reason, hint = error.status, error.reason, error.hint
    except Exception as error:  # the other services are reported all the same
        status = ProbeStatus.DEGRADED
        reason = f"an unexpected answer: {type(error).__name__}: {error}"
        hint = "Is it what it should be, on that port?"
    latency = round((time.monotonic() - started) * 1000, 1)
    return ProbeResult(
        name=name,
        status=status,
        url=url,
        latency=None if status is ProbeStatus.DOWN else latency,
        version=notes.version,
        reason=notes.reason if status is ProbeStatus.OK else reason,
        hint=hint,
    )
