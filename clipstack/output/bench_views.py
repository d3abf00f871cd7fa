"""What a machine was measured to do in, views of it out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.bench.report import BenchReport, Stage
from clipstack.output.out import View
from clipstack.output.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_BAR = 40


def report(found: BenchReport) -> View:
    """The rates as a chart, or a line each: name, with what, value, unit."""
    lines = [
        f"{stage.sort}\t{stage.what}\t{stage.per_second:.1f}\tpictures/s" for stage in found.stages
    ]
    if found.limit:
        lines.append(f"limit\t{found.limit.what}\t{found.limit.pictures:.1f}\tpictures/s")
    lines += [f"search\t{one.rows} rows\t{one.seconds * 1000:.2f}\tms" for one in found.searches]
    lines.append(f"import\texpected\t{found.expected:.1f}\tpictures/s")
    share = found.shares[found.holds_back]
    lines.append(f"holds back\t{found.holds_back}\t{share:.2f}\tof a picture's time")
    lines += [f"left out\t{what}\t\t" for what in found.left_out]
    return View(
        json=_document(found),
        lines=lines,
        quiet=[found.holds_back],
        human=lambda: _chart(found),
    )


def _document(found: BenchReport) -> dict[str, Any]:
    facts = asdict(found)
    drawn = not facts.pop("folder")
    return {
        "model": found.model,
        "cores": found.cores,
        "pictures": {
            "folder": found.folder or None,
            "drawn": drawn,
            "count": found.pictures,
            "failed": found.failed,
            "megapixels": round(found.megapixels, 3),
            "kilobytes": round(found.kilobytes, 1),
        },
        "stages": [
            {
                "stage": str(stage.sort),
                "what": stage.what,
                "pictures_per_second": round(stage.per_second, 2),
                "used": stage.used,
                "on_cores": stage.on_cores,
            }
            for stage in found.stages
        ],
        "limit": facts["limit"] and facts["limit"] | {"reached": round(found.reached or 0, 4)},
        "searches": [
            {"rows": one.rows, "milliseconds": round(one.seconds * 1000, 3)}
            for one in found.searches
        ],
        "import": {
            "pictures_per_second": round(found.expected, 2),
            "holds_back": str(found.holds_back),
            "shares": {str(sort): round(share, 4) for sort, share in found.shares.items()},
        },
        "left_out": list(found.left_out),
    }


def _chart(found: BenchReport) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    where = found.folder or "drawn for this"
    head = Text(
        f"{found.model}, {found.cores} cores, {found.pictures} pictures ({where}): "
        f"{found.megapixels:.1f} megapixels, {found.kilobytes:.0f} kB each\n",
        style="dim",
    )
    parts: list[RenderableType] = [head, _stages(found)]
    if found.searches:
        parts.append(_searches(found))
    held = found.holds_back
    last = Text(f"An import should do about {found.expected:.0f} pictures/s; ")
    last.append(str(held), style="bold yellow")
    last.append(f" holds it back, with {found.shares[held]:.0%} of a picture's time.")
    if found.limit:
        last.append(
            f"\nThe encoder's fastest batch was at {found.reached:.0%} of the limit: "
            f"{found.limit.per_second / 1e9:.0f} GFLOP/s in {found.limit.precision} over "
            f"{found.limit.operations / 1e9:.2f} GFLOP a picture.",
            style="dim",
        )
    parts.append(last)
    parts += [Text(f"Not measured: {what}", style="dim") for what in found.left_out]
    return Group(*parts)


def _stages(found: BenchReport) -> RenderableType:
    """Milliseconds of a picture, so that the longest bar is what to look at."""
    shown = new_table("stage", "", "pictures/s", "ms", "", right=("pictures/s", "ms"))
    costs = [1000 / stage.per_second for stage in found.stages]
    longest = max(costs)
    limit_after = max(at for at, stage in enumerate(found.stages) if stage.sort == "encode")
    for at, (stage, cost) in enumerate(zip(found.stages, costs, strict=True)):
        shown.add_row(
            str(stage.sort),
            stage.what,
            f"{stage.per_second:,.0f}",
            f"{cost:.1f}",
            _bar(cost / longest, _colour(stage, found)),
            style="" if stage.used else "dim",
        )
        if at == limit_after and found.limit:
            cost = 1000 / found.limit.pictures
            rate = f"{found.limit.pictures:,.0f}"
            bar = _bar(cost / longest, "green")
            shown.add_row("limit", found.limit.what, rate, f"{cost:.1f}", bar)
    return shown


def _searches(found: BenchReport) -> RenderableType:
    shown = new_table("search among", "ms", "", right=("search among", "ms"))
    longest = max(one.seconds for one in found.searches)
    for one in found.searches:
        bar = _bar(one.seconds / longest, "blue")
        shown.add_row(f"{one.rows:,} rows", f"{one.seconds * 1000:.1f}", bar)
    return shown


def _colour(stage: Stage, found: BenchReport) -> str:
    return "yellow" if stage.used and stage.sort is found.holds_back else "cyan"


def _bar(part: float, colour: str) -> Text:
    """A bar of up to _BAR cells, in eighths of a cell."""
    from rich.text import Text

    eighths = max(1, round(part * _BAR * 8))
    ends = " ▏▎▍▌▋▊▉"
    return Text("█" * (eighths // 8) + ends[eighths % 8].strip(), style=colour)
