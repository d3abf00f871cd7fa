"""Views of one picture of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clipstack.images.file_state import FileState
from clipstack.output.out import View
from clipstack.output.tables import key_value_view
from clipstack.units import format_bytes

_TIMES = ("taken_at", "imported_at")


def picture(row: Mapping[str, Any], *, target: str, collection: str, original: FileState) -> View:
    """A picture's row, every field but its vector.

    Args:
        row: fields by their names, as stored.
        original: whether its file is as imported, changed or gone.
    """
    document = {"target": target, "collection": collection, "file": str(original), **row}
    return View(
        json=document,
        lines=[f"{name}\t{_plain(value)}" for name, value in document.items()],
        quiet=[row["path"]],
        human=key_value_view(_human_values(row, original)).human,
    )


def _human_values(row: Mapping[str, Any], original: FileState) -> dict[str, str]:
    fields = dict(row)
    width, height = fields.pop("width"), fields.pop("height")
    values = {
        "path": fields.pop("path"),
        "file": f"{original}, {format_bytes(fields.pop('size'))} {fields.pop('format')}, "
        f"{width}x{height} pixels",
        "modified": _time(fields.pop("mtime_ns") / 1e9),
    }
    for name in _TIMES:
        if seconds := fields.pop(name):
            values[name.removesuffix("_at")] = _time(seconds)
    identity = {"id": fields.pop("id"), "digest": fields.pop("digest")}
    return values | {name: _plain(value) for name, value in fields.items()} | identity


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
