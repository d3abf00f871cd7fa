"""The findings of all checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clipstack.errors import ExitCode
from clipstack.stack.check import Check, Level


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, and whether the current target needs it in order to start."""

    check: Check
    needed: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Findings on one subject."""

    name: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All findings."""

    target: str
    groups: tuple[Group, ...]

    @property
    def findings(self) -> Iterator[Finding]:
        """The findings of all groups."""
        return (finding for group in self.groups for finding in group.findings)

    @property
    def code(self) -> ExitCode:
        """OK if nothing failed, PREREQUISITE if the target lacks what it needs to start."""
        failed = [finding for finding in self.findings if finding.check.level is Level.FAIL]
        if not failed:
            return ExitCode.OK
        missing = any(finding.needed for finding in failed)
        return ExitCode.PREREQUISITE if missing else ExitCode.UNHEALTHY
