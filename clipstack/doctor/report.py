"""Checks in; groups of findings and the exit code out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clipstack.errors import ExitCode
from clipstack.stack.check import Check, Level


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, and whether the current target can't start without it."""

    check: Check
    needed: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Findings about one thing."""

    name: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All that was looked at."""

    target: str
    groups: tuple[Group, ...]

    @property
    def findings(self) -> Iterator[Finding]:
        """Those of all groups."""
        return (one for group in self.groups for one in group.findings)

    @property
    def code(self) -> ExitCode:
        """OK when nothing failed, PREREQUISITE when the target lacks what it needs to start."""
        failed = [one for one in self.findings if one.check.level is Level.FAIL]
        if not failed:
            return ExitCode.OK
        missing = any(one.needed for one in failed)
        return ExitCode.PREREQUISITE if missing else ExitCode.UNHEALTHY
