"""The health of all services of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipstack.errors import ExitCode
from clipstack.health.probes.result import ProbeResult, ProbeStatus


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The probes of a target's services.

    Attributes:
        docker: what is wrong with Docker itself, if the target needs it; "" for nothing.
        docker_hint: what to do about it.
    """

    target: str
    services: tuple[ProbeResult, ...]
    docker: str = ""
    docker_hint: str = ""

    @property
    def healthy(self) -> bool:
        """Whether every service works."""
        return all(probe.is_ok for probe in self.services)

    @property
    def code(self) -> ExitCode:
        """The exit code of a command that shows it."""
        if self.healthy:
            return ExitCode.OK
        if all(probe.status is ProbeStatus.DOWN for probe in self.services):
            return ExitCode.UNREACHABLE
        return ExitCode.UNHEALTHY

    def only(self, names: Sequence[str]) -> HealthReport:
        """The report on some services alone."""
        return replace(
            self, services=tuple(probe for probe in self.services if probe.name in names)
        )
