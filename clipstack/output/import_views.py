"""Views of what an import of pictures did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, shortened
from clipstack.output.tables import new_table
from clipstack.units import format_duration

if TYPE_CHECKING:  # pipeline imports numpy and the decoders
    from rich.console import RenderableType

    from clipstack.ingest.pipeline import ImportSummary

_MOST_ROWS = 20


def imported(
    summary: ImportSummary, *, target: str, collection: str, dry_run: bool = False
) -> View:
    """What an import did, or under `dry_run` would do."""
    from clipstack.ingest.pipeline import Outcome

    counts = {outcome.value: summary.counts[outcome] for outcome in Outcome}
    reasons = Counter(str(failure.reason) for failure in summary.failures)
    written = counts["new"] + counts["changed"]
    rate = written / summary.seconds if summary.seconds and not dry_run else 0.0
    document: dict[str, Any] = {
        "target": target,
        "collection": collection,
        "dry_run": dry_run,
        "interrupted": summary.interrupted,
        "counts": counts,
        "encoded": summary.encoded,
        "seconds": round(summary.seconds, 3),
        "images_per_second": round(rate, 1),
        "failed_by_reason": dict(reasons),
        "failures": [
            {"path": f.path, "reason": str(f.reason), "detail": f.detail} for f in summary.failures
        ],
    }
    failures = [f"failed\t{f.reason}\t{f.path}\t{f.detail}" for f in summary.failures]
    tally = [f"{name}\t{count}" for name, count in counts.items()]
    return View(
        json=document,
        lines=[*failures, *tally],
        quiet=[failure.path for failure in summary.failures],
        human=lambda: _summary(summary, counts, reasons, rate, dry_run),
    )


def _summary(
    summary: ImportSummary,
    counts: dict[str, int],
    reasons: Counter[str],
    rate: float,
    dry_run: bool,
) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if summary.failures:
        table = new_table("failed", "reason", "detail")
        for failure in summary.failures[:_MOST_ROWS]:
            name = printable(shortened(failure.path))
            table.add_row(name, str(failure.reason), printable(failure.detail))
        parts.append(table)
        if len(summary.failures) > _MOST_ROWS:
            rest = len(summary.failures) - _MOST_ROWS
            parts.append(Text(f"... and {rest} more; --json lists them all\n", style="dim"))
    styles = {"new": "green", "unchanged": "", "changed": "cyan", "failed": "yellow"}
    line = Text("Would import: " if dry_run else "")
    for name, count in counts.items():
        line.append(f"{count} {name}", style=styles[name] if count else "dim")
        if name == "failed" and reasons:
            line.append(f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common())})")
        line.append("  ")
    if not dry_run:
        line.append(f"in {format_duration(summary.seconds)}", style="dim")
        if rate:
            line.append(f", {rate:.1f} images/s", style="dim")
    return Group(*parts, line)
