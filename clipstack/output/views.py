"""Results of the domain in, views of them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.index.base import Compacted, Described
from clipstack.output.out import View, printable, shortened
from clipstack.settings import NAMES, Settings
from clipstack.settings import shown as shown_setting

if TYPE_CHECKING:  # pipeline imports numpy and the decoders
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from clipstack.ingest.pipeline import Summary

_SHOWN_FAILURES = 20


def better(metric: str) -> str:
    """Which way scores of `metric` are better: "higher" or "lower"."""
    return "lower" if metric == "L2" else "higher"


def linked(path: str) -> Text:
    """`path` as a terminal hyperlink to the file."""
    from rich.style import Style
    from rich.text import Text

    return Text(printable(shortened(path)), style=Style(link=Path(path).as_uri()), overflow="fold")


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these headings; those in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def imported(summary: Summary, *, target: str, collection: str, dry_run: bool = False) -> View:
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
        human=lambda: _import_summary(summary, counts, reasons, rate, dry_run),
    )


def _import_summary(
    summary: Summary, counts: dict[str, int], reasons: Counter[str], rate: float, dry_run: bool
) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if summary.failures:
        shown = table("failed", "reason", "detail")
        for failure in summary.failures[:_SHOWN_FAILURES]:
            name = printable(shortened(failure.path))
            shown.add_row(name, str(failure.reason), printable(failure.detail))
        parts.append(shown)
        if len(summary.failures) > _SHOWN_FAILURES:
            rest = len(summary.failures) - _SHOWN_FAILURES
            parts.append(Text(f"... and {rest} more; --json lists them all\n", style="dim"))
    styles = {"new": "green", "unchanged": "", "changed": "cyan", "failed": "yellow"}
    line = Text("Would import: " if dry_run else "")
    for name, count in counts.items():
        line.append(f"{count} {name}", style=styles[name] if count else "dim")
        if name == "failed" and reasons:
            line.append(f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common())})")
        line.append("  ")
    if not dry_run:
        line.append(f"in {summary.seconds:.1f} s", style="dim")
        if rate:
            line.append(f", {rate:.1f} images/s", style="dim")
    return Group(*parts, line)


def collection_list(found: Sequence[Described], current: str) -> View:
    """All collections; `current` is the one commands use when none is named."""

    def human() -> RenderableType:
        columns = ["collection", "rows", "model", "dimension", "metric", "index"]
        has_states = any(one.loaded is not None for one in found)
        has_aliases = any(one.aliases for one in found)
        columns += ["state"] * has_states + ["aliases"] * has_aliases
        shown = table(*columns, right=("rows",))
        for one in found:
            is_current = current in (one.name, *one.aliases)
            info = one.info
            facts = (info.model, str(info.dimension), info.metric) if info else ("?", "?", "?")
            more = [_state(one)] * has_states + [" ".join(one.aliases)] * has_aliases
            name = f"{one.name} *" if is_current else one.name
            shown.add_row(name, str(one.rows), *facts, _index(one), *more)
        return shown

    return View(
        json=[_collection(one) for one in found],
        lines=["\t".join([one.name, str(one.rows), *_model_columns(one)]) for one in found],
        quiet=[one.name for one in found],
        human=human if found else None,
    )


def collection(one: Described) -> View:
    """One collection in full."""
    return _facts_and_lists(_collection(one), one.name)


def dropped(one: Described) -> View:
    """A collection that is no more."""
    facts: dict[str, Any] = {"dropped": one.name, "rows": one.rows}
    if one.aliases:
        facts["aliases"] = list(one.aliases)
    return _facts_and_lists(facts, one.name)


def compacted(done: Compacted) -> View:
    """What a compaction did, or that it has begun."""
    facts: dict[str, Any] = {"compacted": done.name, "finished": done.finished}
    if done.job:
        facts["job"] = done.job
    if done.finished:
        facts["seconds"] = round(done.seconds, 1)
    if done.finished and done.job:
        facts |= {"merged": done.merged, "into": done.made}
    if done.freed is not None:
        facts["freed"] = done.freed
    if done.lost:
        facts["lost"] = done.lost
    return facts_view(facts, quiet=[done.name])


def _facts_and_lists(facts: dict[str, Any], name: str) -> View:
    shown = facts_view({key: _told(value) for key, value in facts.items()}, quiet=[name])
    return View(json=facts, lines=shown.lines, quiet=shown.quiet, human=shown.human)


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        return ",".join(f"{name}={number}" for name, number in value.items())
    return value


def _collection(one: Described) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": one.name, "rows": one.rows}
    if one.info:
        facts |= asdict(one.info)
        facts["better"] = better(one.info.metric)
        facts["index"] = one.index.type if one.index else ""
        facts["index_params"] = dict(one.index.params) if one.index else {}
    if one.loaded is not None:
        facts["state"] = _state(one)
    facts["aliases"] = list(one.aliases)
    return facts


def _state(one: Described) -> str:
    return {True: "loaded", False: "released", None: ""}[one.loaded]


def _index(one: Described) -> str:
    return one.index.type if one.index else ""


def _model_columns(one: Described) -> list[str]:
    info = one.info
    known = [info.model, str(info.dimension), info.metric] if info else ["", "", ""]
    return [*known, _index(one), _state(one), ",".join(one.aliases)]


def facts_view(facts: dict[str, Any], *, quiet: Sequence[str] = ()) -> View:
    """A few named values, one a line."""

    def human() -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        shown = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            shown.add_row(Text(name, style="dim"), Text(printable(str(value)), overflow="fold"))
        return shown

    return View(
        json=facts,
        lines=[f"{name}\t{value}" for name, value in facts.items()],
        quiet=quiet,
        human=human,
    )


def settings(loaded: Settings, *, origin: bool) -> View:
    """Every setting's value, with `origin` also where it comes from."""
    shown = {name: shown_setting(loaded, name) for name in NAMES}
    if not origin:
        return facts_view(shown, quiet=[f"{name}={value}" for name, value in shown.items()])
    origins = {name: loaded.origins.get(name, "default") for name in NAMES}

    def human() -> RenderableType:
        made = table("setting", "value", "from")
        for name, value in shown.items():
            made.add_row(name, printable(str(value)), origins[name])
        return made

    return View(
        json={name: {"value": shown[name], "origin": origins[name]} for name in NAMES},
        lines=[f"{name}\t{shown[name]}\t{origins[name]}" for name in NAMES],
        quiet=[f"{name}={shown[name]}" for name in NAMES],
        human=human,
    )
