"""Reports of health in, views of them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipstack.health.probes.result import Probe, ProbeStatus
from clipstack.health.report import HealthReport
from clipstack.output.out import View, printable, shortened
from clipstack.output.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARKS = {
    ProbeStatus.OK: ("✓", "green"),
    ProbeStatus.DEGRADED: ("!", "yellow"),
    ProbeStatus.DOWN: ("✗", "red"),
}


def health(report: HealthReport) -> View:
    """The services of a target, what is wrong with them and what to type."""
    return View(
        json=document(report),
        lines=["\t".join(_columns(one)) for one in report.services],
        quiet=[one.name for one in report.services if not one.is_ok],
        human=lambda: _table(report),
    )


def document(report: HealthReport) -> dict[str, Any]:
    """A report as JSON has it."""
    found: dict[str, Any] = {"target": report.target, "healthy": report.healthy}
    if report.docker:
        found["docker"] = {"reason": report.docker, "hint": report.docker_hint}
    found["services"] = [
        {
            "name": one.name,
            "status": str(one.status),
            "latency_ms": one.latency,
            "version": one.version,
            "url": one.url,
            "reason": one.reason,
            "hint": one.hint,
        }
        for one in report.services
    ]
    return found


def waiting(report: HealthReport) -> str:
    """One line on what is not well yet."""
    return "Waiting for " + "; ".join(
        f"{one.name}: {one.reason}" for one in report.services if not one.is_ok
    )


def _columns(one: Probe) -> list[str]:
    latency = "" if one.latency is None else f"{one.latency:.0f} ms"
    hint = " ".join(one.hint.split())
    return [one.name, str(one.status), latency, one.version, one.url, one.reason, hint]


def _table(report: HealthReport) -> RenderableType:
    from rich.text import Text

    shown = new_table("", "service", "", "latency", "version", "", right=("latency",))
    for one in report.services:
        mark, style = _MARKS[one.status]
        latency = "" if one.latency is None else f"{one.latency:.0f} ms"
        said = Text(printable(one.reason), style="dim" if one.is_ok else "")
        for line in one.hint.splitlines():
            said.append(f"\n{printable(line)}", style="cyan")
        status = Text(str(one.status), style=style)
        version = printable(shortened(one.version))
        shown.add_row(Text(mark, style=style), one.name, status, latency, version, said)
    return shown
