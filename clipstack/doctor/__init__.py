"""Checks of everything that clipstack needs: what is wrong, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipstack.doctor.report import DoctorReport, Finding, Group
from clipstack.errors import ClipstackError
from clipstack.health import concurrency
from clipstack.settings import Settings
from clipstack.settings.targets import STACK
from clipstack.stack.check import Check, Level

__all__ = ["DoctorReport", "Finding", "Group", "examine"]

SECONDS = 4.5
_NEEDED_BY_STACK = ("Docker", "resources", "ports", "images")


def examine(
    settings: Settings, problem: ClipstackError | None, commands: Sequence[str] = ()
) -> DoctorReport:
    """Check everything, side by side, within five seconds.

    Args:
        settings: those in force, or the defaults if they can't be read.
        problem: why they can't be read.
        commands: names of clipstack's commands, as their options have variables too.
    """
    from clipstack.doctor import environment, leftovers, local, services

    work: dict[str, Callable[[], list[Check]]] = {
        "settings": lambda: environment.settings_checks(problem, commands),
        "versions": lambda: environment.version_checks(),
        "machine": lambda: local.machine_checks(),
        "model": lambda: local.model_checks(settings),
        "database": lambda: local.database_checks(settings),
        "Docker": services.docker_checks,
        "resources": lambda: services.resource_checks(settings),
        "ports": lambda: services.port_checks(settings),
        "images": lambda: services.image_checks(settings),
        "Milvus": lambda: services.milvus_checks(settings),
        "clock": lambda: services.clock_checks(settings),
        "leftovers": leftovers.checks,
    }
    safe = {name: _safely(name, run_checks) for name, run_checks in work.items()}
    done = concurrency.run(safe, SECONDS)
    groups = []
    for name in work:
        needed = settings.target == STACK and name in _NEEDED_BY_STACK
        level = Level.FAIL if needed else Level.WARN
        fix = "Restart Docker." if name in _NEEDED_BY_STACK else "Try again when less is running."
        late = Check(name, level, f"unknown: no answer within {SECONDS:g} s", fix)
        checks = done.get(name, [late])
        if settings.target != STACK and name in _NEEDED_BY_STACK:
            checks = [_as_warning(check) for check in checks]
        groups.append(Group(name, tuple(Finding(check, needed) for check in checks)))
    return DoctorReport(settings.target, tuple(group for group in groups if group.findings))


def _safely(name: str, run_checks: Callable[[], list[Check]]) -> Callable[[], list[Check]]:
    """The same checks, with an exception as a finding, so that the others go on."""

    def run_safely() -> list[Check]:
        try:
            return run_checks()
        except ClipstackError as error:
            return [Check(name, Level.FAIL, error.message, error.hint)]
        except Exception as error:
            message = f"could not be checked: {type(error).__name__}: {error}"
            return [Check(name, Level.WARN, message, "Please report it.")]

    return run_safely


def _as_warning(check: Check) -> Check:
    """A failed check of the stack as a warning: other targets work without it."""
    if check.level is not Level.FAIL:
        return check
    return Check(check.name, Level.WARN, f"{check.message}; only the stack needs it", check.fix)
