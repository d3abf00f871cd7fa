"""Views of a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipstack.bench.report import BenchReport, ComputeLimit, Stage
from clipstack.output.out import View
from clipstack.output.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_BAR = 40


def benchmark(report: BenchReport) -> View:
    """The rates as a chart, or a line each: name, with what, value, unit."""
    lines = [
        f"{stage.kind}\t{stage.what}\t{stage.per_second:.1f}\tpictures/s" for stage in report.stages
    ]
    if report.limit:
        lines.append(f"limit\t{report.limit.what}\t{report.limit.pictures:.1f}\tpictures/s")
    lines += [
        f"search\t{search.rows} rows\t{search.seconds * 1000:.2f}\tms" for search in report.searches
    ]
    lines.append(f"import\texpected\t{report.expected:.1f}\tpictures/s")
    share = report.shares[report.holds_back]
    lines.append(f"holds back\t{report.holds_back}\t{share:.2f}\tof a picture's time")
    lines += [f"left out\t{what}\t\t" for what in report.left_out]
    return View(
        json=_document(report),
        lines=lines,
        quiet=[report.holds_back],
        human=lambda: _chart(report),
    )


def _limit(report: BenchReport, limit: ComputeLimit) -> dict[str, Any]:
    return {
        "what": limit.what,
        "precision": limit.precision,
        "operations": limit.operations,
        "per_second": limit.per_second,
        "pictures": limit.pictures,
        "reached": round(report.reached or 0, 4),
    }


def _document(report: BenchReport) -> dict[str, Any]:
    limit = report.limit
    return {
        "model": report.model,
        "cores": report.cores,
        "pictures": {
            "folder": report.folder or None,
            "drawn": not report.folder,
            "count": report.pictures,
            "failed": report.failed,
            "megapixels": round(report.megapixels, 3),
            "kilobytes": round(report.kilobytes, 1),
        },
        "stages": [
            {
                "stage": str(stage.kind),
                "what": stage.what,
                "pictures_per_second": round(stage.per_second, 2),
                "used": stage.used,
                "on_cores": stage.on_cores,
            }
            for stage in report.stages
        ],
        "limit": _limit(report, limit) if limit else None,
        "searches": [
            {"rows": search.rows, "milliseconds": round(search.seconds * 1000, 3)}
            for search in report.searches
        ],
        "import": {
            "pictures_per_second": round(report.expected, 2),
            "holds_back": str(report.holds_back),
            "shares": {str(kind): round(share, 4) for kind, share in report.shares.items()},
        },
        "left_out": list(report.left_out),
    }


def _chart(report: BenchReport) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    source = report.folder or "drawn for this"
    head = Text(
        f"{report.model}, {report.cores} cores, {report.pictures} pictures ({source}): "
        f"{report.megapixels:.1f} megapixels, {report.kilobytes:.0f} kB each\n",
        style="dim",
    )
    parts: list[RenderableType] = [head, _stages(report)]
    if report.searches:
        parts.append(_searches(report))
    slowest = report.holds_back
    last = Text(f"An import should do about {report.expected:.0f} pictures/s; ")
    last.append(str(slowest), style="bold yellow")
    last.append(f" holds it back, with {report.shares[slowest]:.0%} of a picture's time.")
    if report.limit:
        last.append(
            f"\nThe encoder's fastest batch was at {report.reached:.0%} of the limit: "
            f"{report.limit.per_second / 1e9:.0f} GFLOP/s in {report.limit.precision} over "
            f"{report.limit.operations / 1e9:.2f} GFLOP a picture.",
            style="dim",
        )
    parts.append(last)
    parts += [Text(f"Not measured: {what}", style="dim") for what in report.left_out]
    return Group(*parts)


def _stages(report: BenchReport) -> RenderableType:
    """Stages with their milliseconds a picture; the longest bar is the slowest stage."""
    table = new_table("stage", "", "pictures/s", "ms", "", right=("pictures/s", "ms"))
    costs = [1000 / stage.per_second for stage in report.stages]
    longest = max(costs)
    last_encode = max(n for n, stage in enumerate(report.stages) if stage.kind == "encode")
    for number, (stage, cost) in enumerate(zip(report.stages, costs, strict=True)):
        table.add_row(
            str(stage.kind),
            stage.what,
            f"{stage.per_second:,.0f}",
            f"{cost:.1f}",
            _bar(cost / longest, _colour(stage, report)),
            style="" if stage.used else "dim",
        )
        if number == last_encode and report.limit:
            cost = 1000 / report.limit.pictures
            rate = f"{report.limit.pictures:,.0f}"
            bar = _bar(cost / longest, "green")
            table.add_row("limit", report.limit.what, rate, f"{cost:.1f}", bar)
    return table


def _searches(report: BenchReport) -> RenderableType:
    table = new_table("search among", "ms", "", right=("search among", "ms"))
    longest = max(search.seconds for search in report.searches)
    for search in report.searches:
        bar = _bar(search.seconds / longest, "blue")
        table.add_row(f"{search.rows:,} rows", f"{search.seconds * 1000:.1f}", bar)
    return table


def _colour(stage: Stage, report: BenchReport) -> str:
    return "yellow" if stage.used and stage.kind is report.holds_back else "cyan"


def _bar(part: float, colour: str) -> Text:
    """A bar of up to _BAR cells, in eighths of a cell."""
    from rich.text import Text

    eighths = max(1, round(part * _BAR * 8))
    ends = " ▏▎▍▌▋▊▉"
    return Text("█" * (eighths // 8) + ends[eighths % 8].strip(), style=colour)
