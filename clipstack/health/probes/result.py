"""One look at a service in; its status, latency, version and reason out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ProbeStatus(StrEnum):
    """How a service is: it does its work, it answers but does not, it does not answer."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found out about one service.

    Attributes:
        latency: milliseconds its answers took, or None where it gave none.
        version: the server's, or the name of the encoder's model; "" when unknown.
        url: where it was asked; a path for a file.
        reason: what is wrong, or worth knowing.
        hint: what to type or change, for all that is not OK.
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
        """Whether it does its work."""
        return self.status is ProbeStatus.OK


class UnwellError(Exception):
    """What a look found wrong; it ends the look."""

    def __init__(self, status: ProbeStatus, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


@dataclass(slots=True)
class Notes:
    """What a look writes down on its way: kept even when it ends in an error."""

    version: str = ""
    reason: str = ""


def look(name: str, url: str, work: Callable[[Notes], None]) -> Probe:
    """Do the work of one probe and time it.

    Args:
        work: asks the service; raises UnwellError for what is wrong.
    """
    notes = Notes()
    began = time.monotonic()
    try:
        work(notes)
    except UnwellError as error:
        took = None if error.status is ProbeStatus.DOWN else _milliseconds(began)
        return Probe(name, error.status, url, took, notes.version, error.reason, error.hint)
    except Exception as error:  # of one service; the others are to be told all the same
        reason = f"an answer that was not expected: {type(error).__name__}: {error}"
        hint = "Is it what it should be, on that port?"
        took = _milliseconds(began)
        return Probe(name, ProbeStatus.DEGRADED, url, took, notes.version, reason, hint)
    return Probe(name, ProbeStatus.OK, url, _milliseconds(began), notes.version, notes.reason)


def _milliseconds(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
