"""Hits, rows and collections as JSON for the page."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from clipstack.index.base import CollectionSummary, Hit
from clipstack.search import SearchResult
from clipstack.units import format_bytes

_LABELS = {
    "camera": "Camera",
    "lens": "Lens",
    "title": "Title",
    "keywords": "Keywords",
    "tags": "Tags",
}
_SHOWN_ELSEWHERE = {
    *("path", "size", "width", "height", "format", "taken_at", "imported_at", "mtime_ns"),
    *("id", "digest", "lat", "lon", "vector", "camera_words", "labels"),
}


def result(found: SearchResult, limit: int) -> dict[str, Any]:
    """One answer to a search; `more` is whether to ask for the next page."""
    return {
        "collection": found.collection.name,
        "metric": found.collection.metric,
        "better": "lower" if found.collection.metric == "L2" else "higher",
        "seconds": round(found.seconds, 4),
        "more": len(found.hits) >= limit,
        "hits": [hit(one) | {"group": _group(found, one)} for one in found.hits],
    }


def hit(one: Hit) -> dict[str, Any]:
    """One hit."""
    path = PurePath(one.path)
    return {
        "id": one.id,
        "name": _text(path.name),
        "folder": _text(str(path.parent)),
        "path": _text(one.path),
        "score": round(one.score, 5),
        "stands_out": _finite(one.stands_out),
        "width": one.width,
        "height": one.height,
        "taken": _day(one.taken_at),
    }


def _finite(value: float | None) -> float | None:
    """JSON has no other numbers."""
    return round(value, 3) if value is not None and math.isfinite(value) else None


def collection(one: CollectionSummary) -> dict[str, Any]:
    """A collection to search in; `usable` is whether clipstack made it."""
    return {
        "name": one.name,
        "rows": one.rows,
        "usable": one.info is not None,
        **({"model": one.info.model, "metric": one.info.metric} if one.info else {}),
    }


def facts(row: Mapping[str, Any]) -> list[list[str]]:
    """What the index knows of a picture besides its name: names for people, and values, in the
    order to show."""
    known = {
        "Folder": str(PurePath(row["path"]).parent),
        "Taken": _moment(row.get("taken_at", 0)),
        "Size": f"{row['width']} × {row['height']} pixels",
        "File": f"{row['format']}, {format_bytes(row['size'])}",
        **{label: _listed(row.get(name)) for name, label in _LABELS.items()},
        "Place": _place(row),
        **{
            name.replace("_", " ").capitalize(): _listed(value)
            for name, value in row.items()
            if name not in _LABELS and name not in _SHOWN_ELSEWHERE
        },
        "Changed": _moment(row.get("mtime_ns", 0) // 10**9),
        "Imported": _moment(row.get("imported_at", 0)),
        "Id": str(row["id"]),
    }
    return [[name, _text(value)] for name, value in known.items() if value]


def _group(found: SearchResult, one: Hit) -> str:
    """What a hit stands for: a folder's name or a day, and how many more of its pictures fit."""
    group = found.groups.get(one.id)
    if group is None:
        return ""
    name = _text(PurePath(group.name).name) or "no date"
    return f"{name} +{group.size - 1}" if group.size > 1 else name


def _place(row: Mapping[str, Any]) -> str:
    lat, lon = row.get("lat"), row.get("lon")
    if not isinstance(lat, int | float) or not isinstance(lon, int | float):
        return ""
    return f"{lat:.5f}, {lon:.5f}"


def _listed(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds)) if seconds else ""


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if seconds else ""


def _text(value: str) -> str:
    """`value` with bytes that are no UTF-8 as escapes: JSON takes none."""
    return value.encode("utf-8", "backslashreplace").decode()
