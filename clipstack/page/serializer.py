"""Hits, rows and collections as JSON for the page."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from clipstack.index.base import CollectionSummary, Hit
from clipstack.index.schema import higher_is_better
from clipstack.search.searcher import SearchResult
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


def search_result(result: SearchResult, limit: int) -> dict[str, Any]:
    """The result of a search; `more` is whether there may be further hits."""
    return {
        "collection": result.collection.name,
        "metric": result.collection.metric,
        "better": "higher" if higher_is_better(result.collection.metric) else "lower",
        "seconds": round(result.seconds, 4),
        "more": len(result.hits) >= limit,
        "hits": [_hit(hit) | {"group": _group(result, hit)} for hit in result.hits],
    }


def _hit(hit: Hit) -> dict[str, Any]:
    path = PurePath(hit.path)
    return {
        "id": hit.id,
        "name": _text(path.name),
        "folder": _text(str(path.parent)),
        "path": _text(hit.path),
        "score": round(hit.score, 5),
        "stands_out": _finite(hit.significance),
        "width": hit.width,
        "height": hit.height,
        "taken": _day(hit.taken_at),
    }


def _finite(value: float | None) -> float | None:
    """`value` if JSON can hold it."""
    return round(value, 3) if value is not None and math.isfinite(value) else None


def collection(summary: CollectionSummary) -> dict[str, Any]:
    """A collection; `usable` is whether clipstack created it."""
    return {
        "name": summary.name,
        "rows": summary.rows,
        "usable": summary.info is not None,
        **({"model": summary.info.model, "metric": summary.info.metric} if summary.info else {}),
    }


def facts(row: Mapping[str, Any]) -> list[list[str]]:
    """The facts of a picture besides its name, as labels and values in display order."""
    values = {
        "Folder": str(PurePath(row["path"]).parent),
        "Taken": _moment(row.get("taken_at", 0)),
        "Size": f"{row['width']} × {row['height']} pixels",
        "File": f"{row['format']}, {format_bytes(row['size'])}",
        **{label: _joined(row.get(name)) for name, label in _LABELS.items()},
        "Place": _coordinates(row),
        **{
            name.replace("_", " ").capitalize(): _joined(value)
            for name, value in row.items()
            if name not in _LABELS and name not in _SHOWN_ELSEWHERE
        },
        "Changed": _moment(row.get("mtime_ns", 0) // 10**9),
        "Imported": _moment(row.get("imported_at", 0)),
        "Id": str(row["id"]),
    }
    return [[name, _text(value)] for name, value in values.items() if value]


def _group(result: SearchResult, hit: Hit) -> str:
    """The folder or day that a hit stands for, and how many more hits it has."""
    group = result.groups.get(hit.id)
    if group is None:
        return ""
    name = _text(PurePath(group.name).name) or "no date"
    return f"{name} +{group.size - 1}" if group.size > 1 else name


def _coordinates(row: Mapping[str, Any]) -> str:
    lat, lon = row.get("lat"), row.get("lon")
    if not isinstance(lat, int | float) or not isinstance(lon, int | float):
        return ""
    return f"{lat:.5f}, {lon:.5f}"


def _joined(value: object) -> str:
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
    """`value` with bytes that are not UTF-8 as escapes, as JSON must be UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode()
