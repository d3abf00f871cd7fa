"""What an index has to hold by what was acknowledged, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clipstack.index.local.index import LocalIndex
from tests.faults.workload import DIMENSIONS, vector_of
from tests.notes import Notes

Contents = dict[str, dict[str, tuple[int, bool]]]
"""By collection and path, a row's version and whether it is tagged."""


@dataclass
class Expected:
    """What was acknowledged, and what was begun.

    Attributes:
        collections: for each that is there, the version and the tag of the rows by their paths.
        begun: the change that may be done or not.
    """

    collections: Contents = field(default_factory=dict)
    begun: dict[str, Any] | None = None

    def take(self, line: bytes) -> None:
        """Take what a line of the acknowledgements says."""
        change = json.loads(line)
        if change["moment"] == "begun":
            self.begun = change
        else:
            self.collections = changed(self.collections, change)
            self.begun = None

    def possible(self) -> Iterator[Contents]:
        """The collections as they may be: with what was begun, or without it."""
        yield self.collections
        if self.begun:
            yield changed(self.collections, self.begun)


def changed(collections: Contents, change: dict[str, Any]) -> Contents:
    """The collections after a change."""
    collections = {name: dict(rows) for name, rows in collections.items()}
    name, paths = change["collection"], change.get("paths", ())
    if change["change"] == "create":
        collections[name] = {}
    elif change["change"] == "drop":
        del collections[name]
    rows = collections.get(name, {})
    for path in paths:
        if change["change"] == "upsert":
            rows[path] = change["version"], path in rows and rows[path][1]
        elif change["change"] == "delete":
            rows.pop(path, None)
        elif path in rows:
            rows[path] = rows[path][0], True
    return collections


def content(index: LocalIndex) -> Contents:
    """What the collections of the workload hold, whose vectors are looked at."""
    content: Contents = {}
    for name in DIMENSIONS.keys() & set(index.names()):
        notes = Notes()
        collection = index.collection(name, events=notes)
        rows = [row for batch in collection.rows() for row in batch]
        content[name] = {row.path: (row.imported_at, "tags" in row.facts) for row in rows}
        assert not notes.texts, notes.texts
        assert len(rows) == len(content[name]) == collection.count(), "rows are doubled or lost"
        for row in rows:
            right = vector_of(row.path, row.imported_at, DIMENSIONS[name])
            assert np.array_equal(row.vector, right), f"{row.path} has another vector"
    return content


def difference(there: Contents, wanted: Contents) -> str:
    """What is other than it should be, in a few words."""
    if there.keys() != wanted.keys():
        return f"collections {sorted(there)} instead of {sorted(wanted)}"
    rows = [
        f"{path}: {there[name].get(path)} instead of {wanted[name].get(path)}"
        for name in wanted
        for path in wanted[name].keys() | there[name].keys()
        if there[name].get(path) != wanted[name].get(path)
    ]
    return f"{len(rows)} rows, {rows[:3]}"
