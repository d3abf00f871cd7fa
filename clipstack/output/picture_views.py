"""A picture's row in, what is known of it out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clipstack.images.source_state import SourceState
from clipstack.output.out import View
from clipstack.output.tables import key_value_view
from clipstack.units import format_bytes

_TIMES = ("taken_at", "imported_at")


def picture(row: Mapping[str, Any], *, target: str, collection: str, original: SourceState) -> View:
    """One row of a collection, every field but its vector.

    Args:
        row: fields by their names, as stored.
        original: what has become of its file.
    """
    document = {"target": target, "collection": collection, "file": str(original), **row}
    return View(
        json=document,
        lines=[f"{name}\t{_plain(value)}" for name, value in document.items()],
        quiet=[row["path"]],
        human=key_value_view(_for_people(row, original)).human,
    )


def _for_people(row: Mapping[str, Any], original: SourceState) -> dict[str, str]:
    left = dict(row)
    width, height = left.pop("width"), left.pop("height")
    shown = {
        "path": left.pop("path"),
        "file": f"{original}, {format_bytes(left.pop('size'))} {left.pop('format')}, "
        f"{width}x{height} pixels",
        "modified": _time(left.pop("mtime_ns") / 1e9),
    }
    for name in _TIMES:
        if seconds := left.pop(name):
            shown[name.removesuffix("_at")] = _time(seconds)
    identity = {"id": left.pop("id"), "digest": left.pop("digest")}
    return shown | {name: _plain(value) for name, value in left.items()} | identity


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
