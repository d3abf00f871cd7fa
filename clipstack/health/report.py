"""Probes in; whether all is well, and the exit code, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipstack.errors import ExitCode
from clipstack.health.probes.result import Probe, ProbeStatus


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the services of a target are.

    Attributes:
        docker: what is wrong with Docker itself, where the target needs it; "" for nothing.
        docker_hint: what to do about that.
    """

    target: str
    services: tuple[Probe, ...]
    docker: str = ""
    docker_hint: str = ""

    @property
    def healthy(self) -> bool:
        """Whether every service does its work."""
        return all(one.is_ok for one in self.services)

    @property
    def code(self) -> ExitCode:
        """What a command that shows it ends with."""
        if self.healthy:
            return ExitCode.OK
        if all(one.status is ProbeStatus.DOWN for one in self.services):
            return ExitCode.UNREACHABLE
        return ExitCode.UNHEALTHY

    def only(self, names: Sequence[str]) -> HealthReport:
        """The same of some services alone."""
        return replace(self, services=tuple(one for one in self.services if one.name in names))
