"""Settings and this machine in; what was checked, what is wrong and how to mend it, out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipstack.doctor.report import DoctorReport, Finding, Group
from clipstack.errors import ClipstackError
from clipstack.health import concurrency
from clipstack.settings import Settings
from clipstack.settings.targets import STACK
from clipstack.stack.check import Check, Level

__all__ = ["Finding", "Group", "Report", "examine"]

SECONDS = 4.5
_NEEDED_BY_STACK = ("Docker", "resources", "ports", "images")


def examine(
    settings: Settings, problem: ClipstackError | None, commands: Sequence[str] = ()
) -> DoctorReport:
    """Check everything, side by side, within five seconds.

    Args:
        settings: in force, or the defaults where they can't be read.
        problem: why they can't be read.
        commands: names of clipstack's commands, whose options have variables of their own.
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
    done = concurrency.run({name: _safely(name, one) for name, one in work.items()}, SECONDS)
    groups = []
    for name in work:
        needed = settings.target == STACK and name in _NEEDED_BY_STACK
        level = Level.FAIL if needed else Level.WARN
        fix = "Restart Docker." if name in _NEEDED_BY_STACK else "Try again when less is running."
        late = Check(name, level, f"not known: no answer within {SECONDS:g} s", fix)
        found = done.get(name, [late])
        if settings.target != STACK and name in _NEEDED_BY_STACK:
            found = [_softened(check) for check in found]
        groups.append(Group(name, tuple(Finding(check, needed) for check in found)))
    return DoctorReport(settings.target, tuple(group for group in groups if group.findings))


def _safely(name: str, work: Callable[[], list[Check]]) -> Callable[[], list[Check]]:
    """A check that breaks is a finding, and not the end of the others."""

    def done() -> list[Check]:
        try:
            return work()
        except ClipstackError as error:
            return [Check(name, Level.FAIL, error.message, error.hint)]
        except Exception as error:
            said = f"could not be looked at: {type(error).__name__}: {error}"
            return [Check(name, Level.WARN, said, "Please report it.")]

    return done


def _softened(check: Check) -> Check:
    """What keeps a stack from starting does not keep another target from working."""
    if check.level is not Level.FAIL:
        return check
    return Check(check.name, Level.WARN, f"{check.message}; only the stack needs it", check.fix)
