"""Views of an export, an import or a copy of rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, printable, shortened
from clipstack.output.tables import key_value_view, new_table
from clipstack.units import format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clipstack.index.transfer.collection_copy import CopyResult
    from clipstack.index.transfer.file_export import ExportResult
    from clipstack.index.transfer.file_import import FileImportResult

_MOST_ROWS = 20


def exported(result: ExportResult, target: str) -> View:
    """The file that a collection was exported to."""
    values: dict[str, Any] = {"target": target, "collection": result.info.name, "file": result.file}
    values |= {"rows": result.rows, "bytes": result.bytes, "seconds": round(result.seconds, 3)}
    return key_value_view(values, quiet=[result.file])


def loaded(result: FileImportResult, target: str) -> View:
    """The rows that were imported from files, and those left out."""
    left_out = result.reasons.total()
    document: dict[str, Any] = {"target": target, "collection": result.info.name}
    document |= {"created": result.created, "files": result.files, "imported": result.imported}
    document |= {"left_out": left_out, "left_out_by_reason": dict(result.reasons.most_common())}
    document |= {
        "examples": [asdict(example) for example in result.examples],
        "interrupted": result.interrupted,
    }
    document["seconds"] = round(result.seconds, 3)
    lines = [
        f"left out\t{row.reason}\t{row.file}\t{row.row}\t{row.path}\t{row.detail}"
        for row in result.examples
    ]
    lines += [f"{reason}\t{count}" for reason, count in result.reasons.most_common()]
    return View(
        json=document,
        lines=[*lines, f"imported\t{result.imported}", f"left out\t{left_out}"],
        quiet=[result.info.name],
        human=lambda: _loaded(result, left_out),
    )


def _loaded(result: FileImportResult, left_out: int) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    if left_out:
        table = new_table("left out", "row", "path", "reason", "detail", right=("row",))
        for example in result.examples[:_MOST_ROWS]:
            texts = (
                shortened(example.file),
                str(example.row),
                example.path,
                example.reason,
                example.detail,
            )
            table.add_row(*map(printable, texts))
        parts.append(table)
        if left_out > _MOST_ROWS:
            parts.append(Text(f"... and {left_out - _MOST_ROWS} more\n", style="dim"))
    line = Text()
    line.append(f"{result.imported} imported", style="green" if result.imported else "dim")
    line.append(f" into {result.info.name}  ")
    line.append(f"{left_out} left out", style="yellow" if left_out else "dim")
    if left_out:
        line.append(
            f" ({', '.join(f'{n} {reason}' for reason, n in result.reasons.most_common())})"
        )
    line.append(f"  in {format_duration(result.seconds)}", style="dim")
    return Group(*parts, line)


def copied(result: CopyResult, source: str, target: str) -> View:
    """The rows that were copied from the target `source` to the target `target`."""
    counts = {"new": result.new, "changed": result.changed, "unchanged": result.unchanged}
    document: dict[str, Any] = {
        "from": {"target": source, "collection": result.source.name},
        "to": {"target": target, "collection": result.target.name, "created": result.created},
        "counts": counts,
        "missing": result.missing,
        "interrupted": result.interrupted,
        "seconds": round(result.seconds, 3),
    }

    def human() -> RenderableType:
        from rich.text import Text

        styles = {"new": "green", "changed": "cyan", "unchanged": ""}
        line = Text(f"{source}: {result.source.name} -> {target}: {result.target.name}  ")
        for name, count in counts.items():
            line.append(f"{count} {name}  ", style=styles[name] if count else "dim")
        line.append(f"in {format_duration(result.seconds)}", style="dim")
        return line

    return View(
        json=document,
        lines=[f"{name}\t{count}" for name, count in counts.items()],
        quiet=[result.target.name],
        human=human,
    )
