"""Views of what an export, an import or a copy of rows did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, shortened
from clipstack.output.tables import key_value_view, new_table
from clipstack.units import format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.index.transfer.collection_copy import CopyResult
    from clipstack.index.transfer.file_export import ExportResult
    from clipstack.index.transfer.file_import import FileImportResult

_SHOWN = 20


def exported(done: ExportResult, target: str) -> View:
    """A file that holds a collection."""
    facts: dict[str, Any] = {"target": target, "collection": done.info.name, "file": done.file}
    facts |= {"rows": done.rows, "bytes": done.bytes, "seconds": round(done.seconds, 3)}
    return key_value_view(facts, quiet=[done.file])


def loaded(done: FileImportResult, target: str) -> View:
    """What came out of files, and what was left out."""
    left_out = done.reasons.total()
    examples = [
        {
            "file": one.file,
            "row": one.row,
            "path": one.path,
            "reason": one.reason,
            "detail": one.detail,
        }
        for one in done.examples
    ]
    document: dict[str, Any] = {"target": target, "collection": done.info.name}
    document |= {"created": done.created, "files": done.files, "imported": done.imported}
    document |= {"left_out": left_out, "left_out_by_reason": dict(done.reasons.most_common())}
    document |= {"examples": examples, "interrupted": done.interrupted}
    document["seconds"] = round(done.seconds, 3)
    lines = [
        f"left out\t{one.reason}\t{one.file}\t{one.row}\t{one.path}\t{one.detail}"
        for one in done.examples
    ]
    lines += [f"{reason}\t{count}" for reason, count in done.reasons.most_common()]
    return View(
        json=document,
        lines=[*lines, f"imported\t{done.imported}", f"left out\t{left_out}"],
        quiet=[done.info.name],
        human=lambda: _loaded(done, left_out),
    )


def _loaded(done: FileImportResult, left_out: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if left_out:
        shown = new_table("left out", "row", "path", "reason", "detail", right=("row",))
        for one in done.examples[:_SHOWN]:
            texts = (shortened(one.file), str(one.row), one.path, one.reason, one.detail)
            shown.add_row(*map(printable, texts))
        parts.append(shown)
        if left_out > _SHOWN:
            parts.append(Text(f"... and {left_out - _SHOWN} more\n", style="dim"))
    line = Text()
    line.append(f"{done.imported} imported", style="green" if done.imported else "dim")
    line.append(f" into {done.info.name}  ")
    line.append(f"{left_out} left out", style="yellow" if left_out else "dim")
    if left_out:
        line.append(f" ({', '.join(f'{n} {reason}' for reason, n in done.reasons.most_common())})")
    line.append(f"  in {format_duration(done.seconds)}", style="dim")
    return Group(*parts, line)


def copied(done: CopyResult, source: str, target: str) -> View:
    """What a copy brought from the target `source` to the target `target`."""
    counts = {"new": done.new, "changed": done.changed, "unchanged": done.unchanged}
    document: dict[str, Any] = {
        "from": {"target": source, "collection": done.source.name},
        "to": {"target": target, "collection": done.target.name, "created": done.created},
        "counts": counts,
        "missing": done.missing,
        "interrupted": done.interrupted,
        "seconds": round(done.seconds, 3),
    }

    def human() -> RenderableType:
        from rich.text import Text

        styles = {"new": "green", "changed": "cyan", "unchanged": ""}
        line = Text(f"{source}: {done.source.name} -> {target}: {done.target.name}  ")
        for name, count in counts.items():
            line.append(f"{count} {name}  ", style=styles[name] if count else "dim")
        line.append(f"in {format_duration(done.seconds)}", style="dim")
        return line

    return View(
        json=document,
        lines=[f"{name}\t{count}" for name, count in counts.items()],
        quiet=[done.target.name],
        human=human,
    )
