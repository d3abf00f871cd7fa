"""`clipstack search --queries`: a line of JSON for each query of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from clipstack.cli.state import State, announce
from clipstack.errors import ClipstackError, ExitCode, NotFoundError, UsageError
from clipstack.output.out import Mode

if TYPE_CHECKING:
    from clipstack.search.query import Query
    from clipstack.search.searcher import Searcher, SearchResult
    from clipstack.settings import Settings


def search_many(state: State, settings: Settings, query: Query, source: str, *, null: bool) -> None:
    """Search for each line of a file.

    Args:
        query: the options, and terms that are added to those of each line.
        source: the file; - is stdin.

    Raises:
        typer.Exit: with PARTIAL, if some lines failed.
    """
    from clipstack.output import hit_views
    from clipstack.output.progress import Progress
    from clipstack.search.query import Term, check_limit
    from clipstack.search.searcher import open_searcher

    replace(query, terms=(*query.terms, Term("anything"))).check()
    check_limit(settings.limit, query.offset)
    quiet = null or state.out.mode is Mode.QUIET
    failed = total = 0
    with ExitStack() as stack:
        lines = _lines(stack.enter_context(_open(source)))
        announce(state, settings, settings.collection)
        progress = stack.enter_context(Progress(state.out))
        searcher = stack.enter_context(open_searcher(settings, events=progress))
        while batch := list(islice(lines, settings.batch_size)):
            for (number, text), result in zip(batch, _search(searcher, query, batch), strict=True):
                total += 1
                failed += isinstance(result, ClipstackError)
                if not quiet:
                    if not state.out.record(hit_views.record(number, text, result)):
                        return
                elif isinstance(result, ClipstackError):
                    state.out.warn(f"line {number}: {result.message}")
                else:
                    state.out.show(hit_views.hits(result, settings.target), null=null)
    if failed:
        state.out.warn(f"{failed} of {total} queries failed.")
        raise typer.Exit(ExitCode.PARTIAL)


def _search(
    searcher: Searcher, query: Query, lines: list[tuple[int, str]]
) -> list[SearchResult | ClipstackError]:
    """The result or error of each line."""
    from clipstack.search import term_parsing

    results: dict[int, SearchResult | ClipstackError] = {}
    queries: dict[int, Query] = {}
    for number, text in lines:
        try:
            queries[number] = replace(query, terms=(term_parsing.term(text), *query.terms))
        except ClipstackError as error:
            results[number] = error
    results |= zip(queries, searcher.search_all(list(queries.values())), strict=True)
    return [results[number] for number, _ in lines]


def _open(source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    try:
        return Path(source).expanduser().open("rb")
    except FileNotFoundError:
        raise NotFoundError(f"--queries {source}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"--queries {source}: can't be read ({error.strerror})") from None


def _lines(source: BinaryIO) -> Iterator[tuple[int, str]]:
    """Each line that is not empty, with its number from 1."""
    for number, line in enumerate(source, 1):
        text = line.decode("utf-8", "surrogateescape").strip()
        if text:
            yield number, text
