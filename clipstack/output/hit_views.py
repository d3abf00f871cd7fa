"""Views of the hits of a search."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clipstack.output.out import View, error_document, printable, shortened
from clipstack.output.scores import better, format_score
from clipstack.output.tables import new_table, path_link

if TYPE_CHECKING:  # search imports numpy and the decoders
    from rich.console import RenderableType

    from clipstack.errors import ClipstackError
    from clipstack.index.base import Hit
    from clipstack.search.query import Query, Term
    from clipstack.search.searcher import SearchResult

L2_NOTE = "Using L2 (Euclidean distance) for search..."
_NO_DATE = "no date"


def hits(result: SearchResult, target: str) -> View:
    """The hits of a search."""
    return View(
        json=_document(result, target),
        lines=[_line(result, rank, hit) for rank, hit in _ranked(result)],
        quiet=[hit.path for hit in result.hits],
        human=(lambda: _table(result)) if result.hits else None,
    )


def record(number: int, text: str, outcome: SearchResult | ClipstackError) -> dict[str, Any]:
    """The outcome of one of many queries, as a record of JSON Lines.

    Args:
        number: of the query's line, from 1.
        text: the line.
    """
    line = {"line": number, "input": text}
    if isinstance(outcome, Exception):
        return line | {"error": error_document(outcome)}
    return line | {"query": _query(outcome), "seconds": round(outcome.seconds, 4)} | _hits(outcome)


def _ranked(result: SearchResult) -> list[tuple[int, Hit]]:
    return list(enumerate(result.hits, result.query.offset + 1))


def _document(result: SearchResult, target: str) -> dict[str, Any]:
    metric = result.collection.metric
    return {
        "target": target,
        "collection": result.collection.name,
        "model": result.collection.model,
        "metric": metric,
        "better": better(metric),
        "query": _query(result),
        "seconds": round(result.seconds, 3),
    } | _hits(result)


def _hits(result: SearchResult) -> dict[str, Any]:
    hits = []
    for rank, hit in _ranked(result):
        document = {"rank": rank, **asdict(hit)}
        document["stands_out"] = document.pop("significance")
        if group := result.groups.get(hit.id):
            document["group"] = asdict(group)
        hits.append(document)
    return {"hits": hits}


def _query(result: SearchResult) -> dict[str, Any]:
    from clipstack.index.filters.to_milvus import to_milvus

    query: Query = result.query
    filter = query.filters.expression()
    return {
        "terms": [_term(term) for term in query.terms],
        "prompt": query.prompt,
        "filter": to_milvus(filter) if filter else "",
        "min_score": query.min_score,
        "limit": result.limit,
        "offset": query.offset,
        "sort": query.sort,
        "diverse": query.diverse,
        "group_by": query.group_by or None,
    }


def _term(term: Term) -> dict[str, Any]:
    if term.data is not None:
        value: dict[str, Any] = {"bytes": len(term.data)}
    elif term.id:
        value = {"id": term.id}
    else:
        value = {"text" if term.is_text else "url" if term.url else "image": term.name}
    return value | {"weight": term.weight}


def _score(result: SearchResult, hit: Hit) -> str:
    return format_score(hit.score, result.collection.metric)


def _extra_columns(result: SearchResult, hit: Hit) -> list[str]:
    """The columns that only some searches have."""
    group = result.groups.get(hit.id)
    columns = [group.name or _NO_DATE, str(group.size)] if group else []
    return [*columns, *([f"{hit.significance:+.2f}"] if hit.significance is not None else [])]


def _line(result: SearchResult, rank: int, hit: Hit) -> str:
    score = _score(result, hit)
    if result.collection.metric == "L2":
        line = f"ID: {shortened(hit.path)}, Score: {score}"
        group = result.groups.get(hit.id)
        return f"{line}, Group: {group.name or _NO_DATE} ({group.size})" if group else line
    columns = [str(rank), score, hit.path, f"{hit.width}x{hit.height}"]
    return "\t".join([*columns, *_extra_columns(result, hit)])


def _table(result: SearchResult) -> RenderableType:
    metric = result.collection.metric
    by = result.query.group_by
    extra = [by, "pictures"] if by else []
    extra += ["stands out"] if any(hit.significance is not None for hit in result.hits) else []
    right = ("#", "score", "pixels", "pictures", "stands out")
    table = new_table("#", "score", "path", "pixels", *extra, right=right)
    table.caption = f"{metric}, {better(metric)} is better"
    table.caption_justify = "left"
    for rank, hit in _ranked(result):
        values = [printable(shortened(text)) for text in _extra_columns(result, hit)]
        pixels = f"{hit.width}x{hit.height}"
        table.add_row(str(rank), _score(result, hit), path_link(hit.path), pixels, *values)
    return table


def query_words(query: Query) -> str:
    """A query as part of a sentence."""
    return " and ".join(f'"{term.text}"' if term.is_text else term.name for term in query.terms)
