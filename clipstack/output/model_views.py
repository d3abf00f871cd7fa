"""Models in, views of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.models.catalog import ListedModel
from clipstack.encoders.openvino.int8_store import Kept
from clipstack.encoders.openvino.rank_overlap import (
    LEAST_OVERLAP,
    LEAST_RECALL,
    MOST_TIED,
    RankOverlap,
)
from clipstack.output.out import View
from clipstack.output.tables import key_value_view, new_table
from clipstack.units import format_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.encoders.openvino.optimization import OptimizationReport, Trial


def model_list(
    found: Sequence[ListedModel], recommended: Mapping[str, str], int8: Sequence[Kept] = ()
) -> View:
    """Models at hand with whether they have an accepted int8, and recommended ones that are not."""
    here = {one.name for one in found}
    quantized = {one.source for one in int8}

    def has_int8(one: ListedModel) -> bool:
        return str(one.folder.resolve()) in quantized

    others = {name: note for name, note in recommended.items() if name not in here}

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        shown = new_table(
            "model", "size", "family", "dimension", "int8", "revision", right=("size",)
        )
        for one in found:
            state = one.revision[:12] if not one.problem else f"incomplete: {one.problem}"
            dimension = str(one.dimension or "")
            int8 = "yes" if has_int8(one) else ""
            shown.add_row(one.name, format_bytes(one.size), one.family, dimension, int8, state)
        more = new_table("others to fetch with `clipstack models pull`", "")
        for name, note in others.items():
            more.add_row(name, Text(note, style="dim"))
        return Group(shown, more) if others else shown

    return View(
        json={
            "models": [_listed(one) | {"int8": has_int8(one)} for one in found],
            "recommended": [{"name": name, "note": note} for name, note in others.items()],
        },
        lines=[
            "\t".join(
                (one.name, str(one.size), one.family, str(one.dimension), one.revision)
                + (("int8",) if has_int8(one) else ())
            )
            for one in found
        ],
        quiet=[one.name for one in found],
        human=human,
    )


def _listed(one: ListedModel) -> dict[str, Any]:
    return {
        "name": one.name,
        "source": one.source,
        "revision": one.revision,
        "family": one.family,
        "dimension": one.dimension,
        "bytes": one.size,
        "folder": str(one.folder),
        "problem": one.problem,
    }


def model(info: ModelInfo, int8: Sequence[Kept] = ()) -> View:
    """One model in full, with its accepted int8, newest first."""
    geometry = info.geometry
    height, width = geometry.shape
    facts: dict[str, Any] = {
        "name": info.name,
        "revision": info.revision,
        "family": info.family,
        "dimension": info.dimension,
        "pixels": f"{width}x{height}",
        "resize": geometry.resize,
        "context_length": info.context_length,
        "fingerprint": info.fingerprint,
        "folder": str(info.folder),
        "int8": int8[0].fingerprint if int8 else "",
    }
    if int8:
        agreement = int8[0].facts["agreement"]
        facts |= {
            "int8_overlap": round(agreement["overlap"], 4),
            "int8_recall": round(agreement["recall"], 4),
        }
    return key_value_view(facts, quiet=[str(info.folder)])


def optimized(report: OptimizationReport) -> View:
    """What came of `models optimize`: both figures with their bounds, and the speeds."""
    last = report.trials[-1]
    facts = {
        "model": report.model.name,
        "accepted": report.accepted,
        "precision": "int8" if report.accepted else report.usual,
        "overlap": round(last.agreement.overlap, 4),
        "least_overlap": LEAST_OVERLAP,
        "recall": round(last.agreement.recall, 4),
        "least_recall": LEAST_RECALL,
        "usual": report.usual,
        "usual_images_per_second": round(report.usual_speed, 1),
        "int8_images_per_second": round(last.speed, 1),
        "times": round(_times(report, last), 2),
        "calibration": report.calibration,
        "held_out": report.held_out,
        "failed": report.failed,
        "same": report.same,
        "fingerprint": report.model.fingerprint if report.accepted else "",
        "trials": [_trial(one) for one in report.trials],
        "usual_agreement": _agreement(report.usual_agreement),
    }
    lines = [f"{name}\t{value}" for name, value in facts.items() if not isinstance(value, list)]
    return View(
        json=facts,
        lines=[line for line in lines if not line.startswith("usual_agreement")],
        quiet=[str(facts["fingerprint"])] if report.accepted else [],
        human=lambda: _optimized(report, last),
    )


def _optimized(report: OptimizationReport, last: Trial) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    usual = report.usual_agreement
    shown = new_table(
        f"against fp32, {report.held_out} pictures",
        "int8",
        report.usual,
        "at least",
        right=("int8", report.usual, "at least"),
    )
    rows = [("overlap of the top 10", "overlap", f"{LEAST_OVERLAP:.2f}")]
    rows += [("recall of the top 1", "recall", f"{LEAST_RECALL:.2f}")]
    rows += [("the same picture first", "first", "")]
    for label, name, bound in rows:
        values = [getattr(one, name) for one in (last.agreement, usual) if one]
        shown.add_row(label, *(f"{value:.4f}" for value in values), bound)
    times = f"{_times(report, last):.2f} x"
    shown.add_row("images/s", f"{last.speed:.0f}", f"{report.usual_speed:.0f}", times)
    verdict = (
        Text("accepted", style="green")
        if report.accepted
        else Text(f"refused: {report.model.name} stays {report.usual}", style="yellow")
    )
    return Group(shown, verdict)


def optimized_warnings(report: OptimizationReport) -> list[str]:
    """What a person has to know of the outcome, besides the figures."""
    last, said = report.trials[-1], []
    agreement = last.agreement
    if not report.accepted and agreement.tied > MOST_TIED:
        said.append(
            f"{report.model.name} can't tell these pictures apart: fp32 itself has no ten best "
            f"for {agreement.tied:.0%} of them, so nothing was judged."
        )
    elif not report.accepted:
        said.append(
            f"int8 ranks otherwise than fp32 on your pictures: overlap of the top 10 is "
            f"{agreement.overlap:.4f} (at least {LEAST_OVERLAP}), recall of the top 1 is "
            f"{agreement.recall:.4f} (at least {LEAST_RECALL}). Nothing is kept, "
            f"{report.usual} stays in use."
        )
    elif _times(report, last) < 1.1:
        said.append(
            f"int8 is no quicker than {report.usual} on this CPU, so it is of no use here: "
            "it takes one with VNNI or AMX."
        )
    if report.failed:
        said.append(f"Left out because they could not be read: {report.failed}.")
    return said


def _times(report: OptimizationReport, trial: Trial) -> float:
    return trial.speed / report.usual_speed


def _trial(one: Trial) -> dict[str, Any]:
    return {
        "care": one.care,
        "images_per_second": round(one.speed, 1),
        "agreement": _agreement(one.agreement),
    }


def _agreement(one: RankOverlap | None) -> dict[str, Any] | None:
    return {name: round(value, 4) for name, value in asdict(one).items()} if one else None
