"""Views of the health of a target's services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipstack.health.probes.result import ProbeResult, ProbeStatus
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
    """The services of a target, what is wrong with them, and what to type."""
    return View(
        json=document(report),
        lines=["\t".join(_columns(probe)) for probe in report.services],
        quiet=[probe.name for probe in report.services if not probe.is_ok],
        human=lambda: _table(report),
    )


def document(report: HealthReport) -> dict[str, Any]:
    """A report in the form `--json` writes."""
    result: dict[str, Any] = {"target": report.target, "healthy": report.healthy}
    if report.docker:
        result["docker"] = {"reason": report.docker, "hint": report.docker_hint}
    result["services"] = [
        {
            "name": probe.name,
            "status": str(probe.status),
            "latency_ms": probe.latency,
            "version": probe.version,
            "url": probe.url,
            "reason": probe.reason,
            "hint": probe.hint,
        }
        for probe in report.services
    ]
    return result


def waiting(report: HealthReport) -> str:
    """One line that names the services that are not healthy yet."""
    return "Waiting for " + "; ".join(
        f"{probe.name}: {probe.reason}" for probe in report.services if not probe.is_ok
    )


def _columns(probe: ProbeResult) -> list[str]:
    hint = " ".join(probe.hint.split())
    return [
        probe.name,
        str(probe.status),
        _latency(probe),
        probe.version,
        probe.url,
        probe.reason,
        hint,
    ]


def _latency(probe: ProbeResult) -> str:
    return "" if probe.latency is None else f"{probe.latency:.0f} ms"


def _table(report: HealthReport) -> RenderableType:
    from rich.text import Text

    table = new_table("", "service", "", "latency", "version", "", right=("latency",))
    for probe in report.services:
        mark, style = _MARKS[probe.status]
        text = Text(printable(probe.reason), style="dim" if probe.is_ok else "")
        for line in probe.hint.splitlines():
            text.append(f"\n{printable(line)}", style="cyan")
        status = Text(str(probe.status), style=style)
        version = printable(shortened(probe.version))
        table.add_row(Text(mark, style=style), probe.name, status, _latency(probe), version, text)
    return table
