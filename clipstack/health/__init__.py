"""A target's settings in; what each of its services really does, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from clipstack.errors import NotFoundError
from clipstack.health.report import HealthReport
from clipstack.settings import Settings
from clipstack.settings.targets import EMBEDDED, STACK

__all__ = ["Report", "check", "wait"]

_TRY_SECONDS = 5.0
_PAUSE = 0.5


def check(
    settings: Settings, names: Sequence[str] = (), *, seconds: float, deep: bool = False
) -> HealthReport:
    """Look at every service of the target, side by side.

    Args:
        names: the services to report on; none for all.
        seconds: for all of it; what has not answered by then is down.
        deep: also write and read back.

    Raises:
        NotFoundError: the target has no such service.
    """
    report = _of_target(settings)(settings, seconds, deep)
    return _chosen(report, names)


def wait(
    settings: Settings,
    names: Sequence[str],
    *,
    seconds: float,
    deep: bool = False,
    changed: Callable[[HealthReport], None],
) -> HealthReport:
    """Look again and again until all is well, or for `seconds`; returns the last look.

    Args:
        changed: called with each look whose statuses or reasons differ from the one before.

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
        if report.healthy or time.monotonic() + _PAUSE >= until:
            return report
        seen = [(one.name, one.status, one.reason) for one in report.services]
        if seen != before:
            changed(report)
        before = seen
        time.sleep(_PAUSE)


def _of_target(settings: Settings) -> Callable[[Settings, float, bool], HealthReport]:
    if settings.target == STACK:
        from clipstack.health import stack

        return stack.check
    if settings.target == EMBEDDED:
        from clipstack.health import embedded

        return embedded.check
    from clipstack.health import remote

    return remote.check


def _chosen(report: HealthReport, names: Sequence[str]) -> HealthReport:
    known = [one.name for one in report.services]
    for name in names:
        if name not in known:
            raise NotFoundError(
                f"the target {report.target} has no service {name!r}",
                hint=f"It has {', '.join(known)}.",
            )
    return report.only(names) if names else report
