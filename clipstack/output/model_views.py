"""Views of models and of their optimization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.models.catalog import ListedModel
from clipstack.encoders.openvino.int8_store import StoredTower
from clipstack.encoders.openvino.ranking_agreement import (
    LEAST_OVERLAP,
    LEAST_RECALL,
    MOST_TIED,
    RankingAgreement,
)
from clipstack.output.out import View
from clipstack.output.tables import key_value_view, new_table
from clipstack.units import format_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.encoders.openvino.optimization import OptimizationReport, Trial


def model_list(
    models: Sequence[ListedModel], recommended: Mapping[str, str], int8: Sequence[StoredTower] = ()
) -> View:
    """Models on this machine, whether each has an accepted int8, and recommended ones to fetch."""
    names = {model.name for model in models}
    quantized = {kept.source for kept in int8}

    def has_int8(model: ListedModel) -> bool:
        return str(model.folder.resolve()) in quantized

    others = {name: note for name, note in recommended.items() if name not in names}

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        table = new_table(
            "model", "size", "family", "dimension", "int8", "revision", right=("size",)
        )
        for model in models:
            state = model.revision[:12] if not model.problem else f"incomplete: {model.problem}"
            dimension = str(model.dimension or "")
            int8 = "yes" if has_int8(model) else ""
            table.add_row(
                model.name, format_bytes(model.size), model.family, dimension, int8, state
            )
        more = new_table("others to fetch with `clipstack models pull`", "")
        for name, note in others.items():
            more.add_row(name, Text(note, style="dim"))
        return Group(table, more) if others else table

    return View(
        json={
            "models": [_listed(model) | {"int8": has_int8(model)} for model in models],
            "recommended": [{"name": name, "note": note} for name, note in others.items()],
        },
        lines=[
            f"{model.name}\t{model.size}\t{model.family}\t{model.dimension}\t{model.revision}"
            + "\tint8" * has_int8(model)
            for model in models
        ],
        quiet=[model.name for model in models],
        human=human,
    )


def _listed(model: ListedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "source": model.source,
        "revision": model.revision,
        "family": model.family,
        "dimension": model.dimension,
        "bytes": model.size,
        "folder": str(model.folder),
        "problem": model.problem,
    }


def model_details(info: ModelInfo, int8: Sequence[StoredTower] = ()) -> View:
    """One model in full, with its accepted int8 models, newest first."""
    geometry = info.geometry
    height, width = geometry.shape
    values: dict[str, Any] = {
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
        agreement = int8[0].measurements["agreement"]
        values |= {
            "int8_overlap": round(agreement["overlap"], 4),
            "int8_recall": round(agreement["recall"], 4),
        }
    return key_value_view(values, quiet=[str(info.folder)])


def optimized(report: OptimizationReport) -> View:
    """The result of `models optimize`: both figures with their bounds, and the speeds."""
    last = report.trials[-1]
    values = {
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
        "trials": [_trial(trial) for trial in report.trials],
        "usual_agreement": _agreement(report.usual_agreement),
    }
    lines = [f"{name}\t{value}" for name, value in values.items() if not isinstance(value, list)]
    return View(
        json=values,
        lines=[line for line in lines if not line.startswith("usual_agreement")],
        quiet=[str(values["fingerprint"])] if report.accepted else [],
        human=lambda: _optimized(report, last),
    )


def _optimized(report: OptimizationReport, last: Trial) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    usual = report.usual_agreement
    table = new_table(
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
        values = [getattr(overlap, name) for overlap in (last.agreement, usual) if overlap]
        table.add_row(label, *(f"{value:.4f}" for value in values), bound)
    times = f"{_times(report, last):.2f} x"
    table.add_row("images/s", f"{last.speed:.0f}", f"{report.usual_speed:.0f}", times)
    verdict = (
        Text("accepted", style="green")
        if report.accepted
        else Text(f"refused: {report.model.name} stays {report.usual}", style="yellow")
    )
    return Group(table, verdict)


def optimized_warnings(report: OptimizationReport) -> list[str]:
    """Warnings that go with the result, besides the figures."""
    last, warnings = report.trials[-1], []
    agreement = last.agreement
    if not report.accepted and agreement.tied > MOST_TIED:
        warnings.append(
            f"{report.model.name} can't tell these pictures apart: fp32 itself has no ten best "
            f"for {agreement.tied:.0%} of them, so nothing was judged."
        )
    elif not report.accepted:
        warnings.append(
            f"int8 ranks your pictures differently than fp32: overlap of the top 10 is "
            f"{agreement.overlap:.4f} (at least {LEAST_OVERLAP}), recall of the top 1 is "
            f"{agreement.recall:.4f} (at least {LEAST_RECALL}). Nothing is kept, "
            f"{report.usual} stays in use."
        )
    elif _times(report, last) < 1.1:
        warnings.append(
            f"int8 is no faster than {report.usual} on this CPU, so it brings nothing here: "
            "it needs a CPU with VNNI or AMX."
        )
    if report.failed:
        warnings.append(f"Left out because they could not be read: {report.failed}.")
    return warnings


def _times(report: OptimizationReport, trial: Trial) -> float:
    return trial.speed / report.usual_speed


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "care": trial.care,
        "images_per_second": round(trial.speed, 1),
        "agreement": _agreement(trial.agreement),
    }


def _agreement(overlap: RankingAgreement | None) -> dict[str, Any] | None:
    return {name: round(value, 4) for name, value in asdict(overlap).items()} if overlap else None
