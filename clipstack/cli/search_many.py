"""`clipstack search --queries`: a file of queries in, a line of JSON for each out."""

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
    from clipstack.search import Query, Searcher, SearchResult
    from clipstack.settings import Settings


def search_many(state: State, settings: Settings, query: Query, source: str, *, null: bool) -> None:
    """Search for each line of the file `source` (- is stdin), as `query` says besides.

    Raises:
        typer.Exit: with PARTIAL, when some lines failed.
    """
    from clipstack.output import hit_views
    from clipstack.output.progress import DownloadProgress
    from clipstack.search import Term, check_limit, open_searcher

    replace(query, terms=(*query.terms, Term("anything"))).check()
    check_limit(settings.limit, query.offset)
    quiet = null or state.out.mode is Mode.QUIET
    failed = total = 0
    with ExitStack() as stack:
        lines = _lines(stack.enter_context(_opened(source)))
        announce(state, settings, settings.collection)
        download = stack.enter_context(DownloadProgress(state.out, settings.model))
        searcher = stack.enter_context(
            open_searcher(settings, progress=download, note=state.out.note)
        )
        while some := list(islice(lines, settings.batch_size)):
            for (number, text), found in zip(some, _search(searcher, query, some), strict=True):
                total += 1
                failed += isinstance(found, ClipstackError)
                if not quiet:
                    if not state.out.record(hit_views.record(number, text, found)):
                        return
                elif isinstance(found, ClipstackError):
                    state.out.warn(f"line {number}: {found.message}")
                else:
                    state.out.show(hit_views.hits(found, settings.target), null=null)
    if failed:
        state.out.warn(f"{failed} of {total} queries failed.")
        raise typer.Exit(ExitCode.PARTIAL)


def _search(
    searcher: Searcher, query: Query, lines: list[tuple[int, str]]
) -> list[SearchResult | ClipstackError]:
    """What each line finds, or why not, in their order."""
    from clipstack.search import term_parsing

    found: dict[int, SearchResult | ClipstackError] = {}
    asked: dict[int, Query] = {}
    for number, text in lines:
        try:
            asked[number] = replace(query, terms=(term_parsing.term(text), *query.terms))
        except ClipstackError as error:
            found[number] = error
    found |= zip(asked, searcher.search_all(list(asked.values())), strict=True)
    return [found[number] for number, _ in lines]


def _opened(source: str) -> BinaryIO:
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
