"""Views of what the doctor found."""

from __future__ import annotations

from dataclasses import asdict
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
    """The checks that ran, with fixes for those that did not pass.

    Args:
        bundle: path of the archive that was written, or "".
    """
    checks = [finding.check for finding in report.findings]
    failed = [check for check in checks if check.level is not Level.OK]
    return View(
        json=document(report) | ({"bundle": bundle} if bundle else {}),
        lines=[
            "\t".join([group.name, *_columns(finding.check)])
            for group in report.groups
            for finding in group.findings
        ],
        quiet=[bundle] if bundle else [check.name for check in failed],
        human=lambda: _table(report),
    )


def document(report: DoctorReport) -> dict[str, Any]:
    """A report in the form `--json` writes."""
    return {
        "target": report.target,
        "ok": report.code is ExitCode.OK,
        "groups": [
            {
                "name": group.name,
                "checks": [asdict(finding.check) for finding in group.findings],
            }
            for group in report.groups
        ],
    }


def _columns(check: Check) -> list[str]:
    return [check.level, check.name, check.message, " ".join(check.fix.split())]


def _table(report: DoctorReport) -> RenderableType:
    from rich.text import Text

    table = new_table("", "", "")
    for group in report.groups:
        title = group.name
        checks = [finding.check for finding in group.findings]
        for check in _passed_in_one_line(checks) if group.name == "versions" else checks:
            mark, style = _MARKS[check.level]
            # "image a:1: MinIO: a:1 is here" would name the image twice.
            is_repeated = check.name == group.name or check.name.rpartition(" ")[2] in check.message
            text = Text("" if is_repeated else f"{printable(check.name)}: ", style="dim")
            text.append(printable(check.message), style="not dim")
            for line in check.fix.splitlines():
                text.append(f"\n{printable(line)}", style="not dim cyan")
            table.add_row(Text(title, style="bold"), Text(mark, style=style), text)
            title = ""
    return table


def _passed_in_one_line(checks: list[Check]) -> list[Check]:
    """The checks, with all that passed joined into one."""
    passed = ", ".join(
        f"{check.name} {check.message}" for check in checks if check.level is Level.OK
    )
    others = [check for check in checks if check.level is not Level.OK]
    return [Check("versions", Level.OK, passed), *others] if passed else others
