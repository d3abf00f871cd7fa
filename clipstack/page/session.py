"""The searches of a page; those that wait at the same time run together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from clipstack.errors import NotFoundError, UnreachableError, UsageError
from clipstack.events import SILENT, Events
from clipstack.index.base import Collection, CollectionSummary, Index
from clipstack.index.connect import connect
from clipstack.page.query_parser import ParsedQuery
from clipstack.search.query import Query, Term
from clipstack.search.query_encoding import QueryEncoder
from clipstack.search.searcher import Searcher, SearchResult, read_inputs
from clipstack.search.term_vectors import TermInput
from clipstack.settings import Settings

T = TypeVar("T")

_MAX_WAIT_SECONDS = 2.0
_MAX_BATCH = 32
_PAUSE_SHARE = 0.25
"""Pause after a batch, as a share of its duration: new searches collect, and an import that runs at
the same time gets the cores."""
_LOOKUP_THREADS = 4
"""Rows read, and query pictures fetched, at the same time."""


@dataclass(slots=True, eq=False)
class _PendingSearch:
    """A search that waits for its batch.

    Attributes:
        inputs: the files and URLs of its query, read.
        is_connected: whether the client still waits for the result.
        future: gets the result, or None if the client does not wait any more.
    """

    parsed: ParsedQuery
    inputs: list[TermInput]
    is_connected: Callable[[], Awaitable[bool]]
    future: asyncio.Future[SearchResult | None]


class SearchSession:
    """Searches in the collections of a target, for one page.

    Searches run in one thread. Those that arrive while others run wait, and then run as one batch:
    they are encoded together and share a pass over the vectors. Other threads read rows and list
    collections meanwhile.

    Args:
        settings: settings of the target; `collection` is the one the page starts with.
        events: reports a download, and what takes a while.
    """

    def __init__(self, settings: Settings, events: Events = SILENT) -> None:
        self.settings = replace(settings, wait=min(settings.wait, _MAX_WAIT_SECONDS))
        self._events = events
        self._index: Index | None = None
        self._collections: dict[str, Collection] = {}
        self._collections_lock = threading.Lock()
        self._searcher: Searcher | None = None
        self._pending: deque[_PendingSearch] = deque()
        self._arrived = asyncio.Event()
        self._search_executor = ThreadPoolExecutor(1, "search")
        self._lookup_executor = ThreadPoolExecutor(_LOOKUP_THREADS, "lookup")

    def open(self) -> list[CollectionSummary]:
        """Open the page's own collection, load its model, and list the target's collections.

        Raises:
            NotFoundError: nothing is imported, or there is no such collection.
            UnreachableError: the server does not answer.
            PrerequisiteError: the model can't be found or downloaded.
            ClipstackError: the collection is empty, or holds another model's vectors.
        """
        self._index = connect(self.settings)
        self._searcher_for("").search(Query((Term(text="a"),)), limit=1)
        return self._list()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The context in which searches run; closes everything at its end."""
        runner = asyncio.create_task(self._run_searches())
        try:
            yield
        finally:
            runner.cancel()
            await asyncio.to_thread(self._close)

    async def collections(self) -> list[CollectionSummary]:
        """Every collection of the target."""
        return await _run_in(self._lookup_executor, self._list)

    async def search(
        self, parsed: ParsedQuery, is_connected: Callable[[], Awaitable[bool]]
    ) -> SearchResult | None:
        """The result of one search, or None if the client does not wait for it any more.

        Args:
            is_connected: whether the client still waits.

        Raises:
            ClipstackError: as `clipstack.search.searcher.search`.
        """
        read_query = partial(read_inputs, parsed.query, parsed.limit, self.settings)
        inputs = await _run_in(self._lookup_executor, read_query)
        future: asyncio.Future[SearchResult | None] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingSearch(parsed, inputs, is_connected, future))
        self._arrived.set()
        return await future

    async def row(self, collection: str, id: str) -> dict[str, Any] | None:
        """All fields of a row except its vector, or None if there is no such row.

        Raises:
            NotFoundError: there is no such collection.
        """

        def read_row() -> dict[str, Any] | None:
            try:
                return self._collection(collection).row(id)
            except NotFoundError:  # the name may belong to another collection by now
                self._forget(collection)
                return self._collection(collection).row(id)

        return await _run_in(self._lookup_executor, read_row)

    async def _run_searches(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                batch = await self._next_batch()
                if not batch:
                    continue
                started = time.monotonic()
                outcomes = await _run_in(self._search_executor, partial(self._search_batch, batch))
                pause = _PAUSE_SHARE * (time.monotonic() - started)
                for search, outcome in zip(batch, outcomes, strict=True):
                    if search.future.done():  # cancelled
                        continue
                    if isinstance(outcome, Exception):
                        search.future.set_exception(outcome)
                    else:
                        search.future.set_result(outcome)
                await asyncio.sleep(pause)

    async def _next_batch(self) -> list[_PendingSearch]:
        """The search that has waited longest, and others in the same collection."""
        name = self._pending[0].parsed.collection
        candidates = [s for s in self._pending if s.parsed.collection == name][:_MAX_BATCH]
        for search in candidates:
            self._pending.remove(search)
        batch = []
        for search in candidates:
            if await search.is_connected():
                batch.append(search)
            elif not search.future.done():
                search.future.set_result(None)
        return batch

    def _search_batch(self, searches: Sequence[_PendingSearch]) -> list[SearchResult | Exception]:
        """The result or error of each search; all are in one collection."""
        by_limit: dict[int, list[int]] = defaultdict(list)
        for number, search in enumerate(searches):
            by_limit[search.parsed.limit].append(number)
        outcomes: dict[int, SearchResult | Exception] = {}
        for numbers in by_limit.values():
            outcomes |= zip(numbers, self._search([searches[n] for n in numbers]), strict=True)
        failed = [n for n, outcome in outcomes.items() if isinstance(outcome, NotFoundError)]
        if failed:  # another process may have dropped the collection and created it again
            self._forget(searches[0].parsed.collection)
        for number in failed:
            outcomes[number] = self._search([searches[number]])[0]
        return [outcomes[number] for number in range(len(searches))]

    def _search(self, searches: Sequence[_PendingSearch]) -> Sequence[SearchResult | Exception]:
        """The result or error of each search; all are in one collection and have one limit."""
        parsed = searches[0].parsed
        try:
            return self._searcher_for(parsed.collection).search_inputs(
                [search.parsed.query for search in searches],
                [search.inputs for search in searches],
                parsed.limit,
                time.monotonic(),
            )
        except UnreachableError as error:
            return [error] * len(searches)
        except Exception as error:
            if len(searches) == 1:
                return [error]
            return [self._search([search])[0] for search in searches]  # one may have caused it

    def _searcher_for(self, name: str) -> Searcher:
        """A searcher of a collection; keeps the previous one's model if it is the same."""
        collection = self._collection(name)
        previous = self._searcher
        if previous is not None and previous.collection is collection:
            return previous
        settings = replace(self.settings, collection=name or self.settings.collection)
        if previous is not None and previous.info.fingerprint == collection.info.fingerprint:
            query_encoder = previous.query_encoder
        else:
            query_encoder = QueryEncoder(settings, collection.info, events=self._events)
        collection.prepare()
        self._searcher = Searcher(settings, collection, query_encoder, events=self._events)
        return self._searcher

    def _collection(self, name: str) -> Collection:
        """A collection ("" for the page's own), opened again if it was replaced.

        Raises:
            NotFoundError: there is no collection of that name.
        """
        assert self._index is not None
        name = name or self.settings.collection
        try:
            info = self._index.info(name)
        except UsageError:  # not a valid name of a collection
            raise NotFoundError(f"there is no collection {name!r}") from None
        with self._collections_lock:
            collection = self._collections.get(name)
            if collection is None or collection.info != info:
                collection = self._index.collection(
                    name, patience=self.settings.patience, events=self._events
                )
                self._collections[name] = collection
            return collection

    def _forget(self, name: str) -> None:
        with self._collections_lock:
            self._collections.pop(name or self.settings.collection, None)

    def _list(self) -> list[CollectionSummary]:
        assert self._index is not None
        summaries = self._index.list()
        names = {summary.name for summary in summaries}
        with self._collections_lock:  # close the files of collections that were dropped
            for name, collection in list(self._collections.items()):
                if collection.info.name not in names:
                    del self._collections[name]
        return summaries

    def _close(self) -> None:
        self._search_executor.shutdown()
        self._lookup_executor.shutdown()
        if self._index is not None:
            self._index.close()


async def _run_in(executor: Executor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, function)
