"""The health of a target's services."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from clipstack.errors import NotFoundError
from clipstack.health.report import HealthReport
from clipstack.settings import Settings
from clipstack.settings.targets import EMBEDDED, STACK

__all__ = ["HealthReport", "check", "wait"]

_TRY_SECONDS = 5.0
_PAUSE = 0.5
_SHORTEST_TRY = 1.0
"""Seconds that a check needs to tell a paused container from a silent one."""


def check(
    settings: Settings, names: Sequence[str] = (), *, seconds: float, deep: bool = False
) -> HealthReport:
    """Probe every service of the target, side by side.

    Args:
        names: the services to report on; none for all.
        seconds: for all of it; a service that has not answered by then is down.
        deep: whether to write something and read it back too.

    Raises:
        NotFoundError: the target has no such service.
    """
    report = _target_check(settings)(settings, seconds, deep)
    return _select(report, names)


def wait(
    settings: Settings,
    names: Sequence[str],
    *,
    seconds: float,
    deep: bool = False,
    on_change: Callable[[HealthReport], None],
) -> HealthReport:
    """Check until every service is healthy, or for `seconds`; returns the last report.

    Args:
        on_change: called with each report whose statuses or reasons differ from the one before.

    Raises:
        NotFoundError: the target has no such service.
    """
    until = time.monotonic() + seconds
    before = None
    while True:
        left = until - time.monotonic()
        report = check(settings, names, seconds=min(left, _TRY_SECONDS))
        if report.healthy and deep:
            report = check(settings, names, seconds=until - time.monotonic(), deep=True)
        if report.healthy or time.monotonic() + _PAUSE + _SHORTEST_TRY >= until:
            return report
        state = [(probe.name, probe.status, probe.reason) for probe in report.services]
        if state != before:
            on_change(report)
        before = state
        time.sleep(_PAUSE)


def _target_check(settings: Settings) -> Callable[[Settings, float, bool], HealthReport]:
    if settings.target == STACK:
        from clipstack.health import stack

        return stack.check
    if settings.target == EMBEDDED:
        from clipstack.health import embedded

        return embedded.check
    from clipstack.health import remote

    return remote.check


def _select(report: HealthReport, names: Sequence[str]) -> HealthReport:
    services = [probe.name for probe in report.services]
    for name in names:
        if name not in services:
            raise NotFoundError(
                f"the target {report.target} has no service {name!r}",
                hint=f"It has {', '.join(services)}.",
            )
    return report.only(names) if names else report
