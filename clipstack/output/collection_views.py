"""Views of collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.index.base import CollectionSummary, CompactionResult
from clipstack.output.out import View
from clipstack.output.scores import better
from clipstack.output.tables import key_value_view, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType


def collection_list(collections: Sequence[CollectionSummary], current: str) -> View:
    """All collections; `current` is the one commands use when none is named."""

    def human() -> RenderableType:
        columns = ["collection", "rows", "model", "dimension", "metric", "index"]
        has_states = any(collection.loaded is not None for collection in collections)
        has_aliases = any(collection.aliases for collection in collections)
        columns += ["state"] * has_states + ["aliases"] * has_aliases
        table = new_table(*columns, right=("rows",))
        for collection in collections:
            is_current = current in (collection.name, *collection.aliases)
            name = f"{collection.name} *" if is_current else collection.name
            model = _model(collection) or ["?", "?", "?"]
            more = [_state(collection)] * has_states
            more += [" ".join(collection.aliases)] * has_aliases
            table.add_row(name, str(collection.rows), *model, _index(collection), *more)
        return table

    return View(
        json=[_document(collection) for collection in collections],
        lines=["\t".join(_columns(collection)) for collection in collections],
        quiet=[collection.name for collection in collections],
        human=human if collections else None,
    )


def collection_details(collection: CollectionSummary) -> View:
    """One collection in full."""
    return _document_view(_document(collection), collection.name)


def dropped(collection: CollectionSummary) -> View:
    """A collection that was dropped."""
    document: dict[str, Any] = {"dropped": collection.name, "rows": collection.rows}
    if collection.aliases:
        document["aliases"] = list(collection.aliases)
    return _document_view(document, collection.name)


def compacted(result: CompactionResult) -> View:
    """What a compaction did, or that it has begun."""
    document: dict[str, Any] = {"compacted": result.name, "finished": result.finished}
    if result.job:
        document["job"] = result.job
    if result.finished:
        document["seconds"] = round(result.seconds, 1)
    if result.finished and result.job:
        document |= {"merged": result.merged, "into": result.made}
    if result.freed is not None:
        document["freed"] = result.freed
    if result.lost:
        document["lost"] = result.lost
    return key_value_view(document, quiet=[result.name])


def _document_view(document: dict[str, Any], name: str) -> View:
    flat = key_value_view({key: _flat(value) for key, value in document.items()}, quiet=[name])
    return View(json=document, lines=flat.lines, quiet=flat.quiet, human=flat.human)


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        return ",".join(f"{name}={number}" for name, number in value.items())
    return value


def _document(collection: CollectionSummary) -> dict[str, Any]:
    document: dict[str, Any] = {"name": collection.name, "rows": collection.rows}
    if collection.info:
        document |= asdict(collection.info)
        document["better"] = better(collection.info.metric)
        document["index"] = _index(collection)
        document["index_params"] = dict(collection.index.params) if collection.index else {}
    if collection.loaded is not None:
        document["state"] = _state(collection)
    document["aliases"] = list(collection.aliases)
    return document


def _columns(collection: CollectionSummary) -> list[str]:
    model = _model(collection) or ["", "", ""]
    first = [collection.name, str(collection.rows), *model]
    return [*first, _index(collection), _state(collection), ",".join(collection.aliases)]


def _model(collection: CollectionSummary) -> list[str]:
    info = collection.info
    return [info.model, str(info.dimension), info.metric] if info else []


def _state(collection: CollectionSummary) -> str:
    return {True: "loaded", False: "released", None: ""}[collection.loaded]


def _index(collection: CollectionSummary) -> str:
    return collection.index.type if collection.index else ""
