"""Reports of the doctor in, views of them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipstack.doctor.report import DoctorReport
from clipstack.errors import ExitCode
from clipstack.output.out import View, printable
from clipstack.output.tables import new_table
from clipstack.stack.check import Check, Level

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARKS = {Level.OK: ("✓", "green"), Level.WARN: ("!", "yellow"), Level.FAIL: ("✗", "red")}


def doctor(report: DoctorReport, bundle: str = "") -> View:
    """What was checked, and what to do about all that is not well.

    Args:
        bundle: the file that was written, or "".
    """
    return View(
        json=document(report) | ({"bundle": bundle} if bundle else {}),
        lines=[
            "\t".join(
                [
                    group.name,
                    str(one.check.level),
                    one.check.name,
                    one.check.message,
                    " ".join(one.check.fix.split()),
                ]
            )
            for group in report.groups
            for one in group.findings
        ],
        quiet=[bundle]
        if bundle
        else [one.check.name for one in report.findings if one.check.level is not Level.OK],
        human=lambda: _table(report),
    )


def document(report: DoctorReport) -> dict[str, Any]:
    """A report as JSON has it."""
    return {
        "target": report.target,
        "ok": report.code is ExitCode.OK,
        "groups": [
            {
                "name": group.name,
                "checks": [
                    {
                        "name": one.check.name,
                        "level": str(one.check.level),
                        "message": one.check.message,
                        "fix": one.check.fix,
                    }
                    for one in group.findings
                ],
            }
            for group in report.groups
        ],
    }


def _table(report: DoctorReport) -> RenderableType:
    from rich.text import Text

    shown = new_table("", "", "")
    for group in report.groups:
        title = group.name
        found = [one.check for one in group.findings]
        for check in _in_one_line(found) if group.name == "versions" else found:
            mark, style = _MARKS[check.level]
            # "image a:1: MinIO: a:1 is here" would say it twice.
            told = check.name == group.name or check.name.rpartition(" ")[2] in check.message
            said = Text("" if told else f"{printable(check.name)}: ", style="dim")
            said.append(printable(check.message), style="not dim")
            for line in check.fix.splitlines():
                said.append(f"\n{printable(line)}", style="not dim cyan")
            shown.add_row(Text(title, style="bold"), Text(mark, style=style), said)
            title = ""
    return shown


def _in_one_line(checks: list[Check]) -> list[Check]:
    """All that are well as one; the others as they are."""
    well = ", ".join(f"{one.name} {one.message}" for one in checks if one.level is Level.OK)
    others = [one for one in checks if one.level is not Level.OK]
    return [Check("versions", Level.OK, well), *others] if well else others
