"""The searches of a page: those that wait together are done together."""

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
from clipstack.index.base import Collection, Described, Index
from clipstack.index.connect import connect
from clipstack.page.query_parser import ParsedQuery
from clipstack.search import Query, SearchResult, Term
from clipstack.search.query_encoding import Encoding
from clipstack.search.searcher import Searcher, read
from clipstack.search.term_vectors import Material
from clipstack.settings import Settings

T = TypeVar("T")

_LONGEST_WAIT = 2.0
_MOST_AT_ONCE = 32
_REST = 0.25
"""For this share of the time that searches took, those that come gather, and an import beside the
page has the cores."""
_LOOKUPS = 4
"""Rows read, and query pictures fetched, at once."""


@dataclass(slots=True, eq=False)
class _Search:
    """A search that waits for its turn.

    Attributes:
        materials: of its query, read.
        wanted: an awaitable that is True while somebody waits for the answer.
    """

    asked: ParsedQuery
    materials: list[Material]
    wanted: Callable[[], Awaitable[bool]]
    answer: asyncio.Future[SearchResult | None]


class SearchSession:
    """The target's collections, for one page.

    Searches are done in one thread. Those that come while one runs wait, and are then done at once:
    they are encoded in one batch and share a pass over the vectors. Rows are read, and collections
    listed, beside them.

    Args:
        settings: of the target; `collection` is the one the page starts with.
        progress: called with bytes done and bytes in all while a model is fetched.
        note: told what takes a while.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Callable[[int, int], None] | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = replace(settings, wait=min(settings.wait, _LONGEST_WAIT))
        self._progress = progress
        self._note = note
        self._index: Index | None = None
        self._collections: dict[str, Collection] = {}
        self._opening = threading.Lock()
        self._searcher: Searcher | None = None
        self._searches: deque[_Search] = deque()
        self._came = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, "search")
        self._lookups = ThreadPoolExecutor(_LOOKUPS, "lookup")

    def open(self) -> list[Described]:
        """Open the page's own collection and load its model; returns all of the target's.

        Raises:
            NotFoundError: nothing is imported, or there is no such collection.
            UnreachableError: the server does not answer.
            PrerequisiteError: the model is not to be had.
            ClipstackError: the collection is empty, or holds another model's vectors.
        """
        self._index = connect(self.settings)
        self._searcher_of("").search(Query((Term(text="a"),)), limit=1)
        return self._list()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answers searches until the end, and then closes everything."""
        searching = asyncio.create_task(self._answer_searches())
        try:
            yield
        finally:
            searching.cancel()
            await asyncio.to_thread(self._close)

    async def collections(self) -> list[Described]:
        """Every collection of the target."""
        return await _done(self._lookups, self._list)

    async def search(
        self, asked: ParsedQuery, wanted: Callable[[], Awaitable[bool]]
    ) -> SearchResult | None:
        """The hits of one search, or None when nobody waits for them any more.

        Args:
            wanted: an awaitable that is True while somebody does.

        Raises:
            ClipstackError: as `clipstack.search.search`.
        """
        reading = partial(read, asked.query, asked.limit, self.settings)
        materials = await _done(self._lookups, reading)
        answer: asyncio.Future[SearchResult | None] = asyncio.get_running_loop().create_future()
        self._searches.append(_Search(asked, materials, wanted, answer))
        self._came.set()
        return await answer

    async def row(self, collection: str, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, or None when there is no such row.

        Raises:
            NotFoundError: there is no such collection.
        """

        def work() -> dict[str, Any] | None:
            try:
                return self._collection(collection).row(id)
            except NotFoundError:  # it may be another collection of that name by now
                self._forget(collection)
                return self._collection(collection).row(id)

        return await _done(self._lookups, work)

    async def _answer_searches(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            while self._searches:
                some = await self._next()
                if not some:
                    continue
                started = time.monotonic()
                answers = await _done(self._worker, partial(self._answers, some))
                rest = _REST * (time.monotonic() - started)
                for search, answer in zip(some, answers, strict=True):
                    if search.answer.done():  # cancelled
                        continue
                    if isinstance(answer, Exception):
                        search.answer.set_exception(answer)
                    else:
                        search.answer.set_result(answer)
                await asyncio.sleep(rest)

    async def _next(self) -> list[_Search]:
        """The searches to do now: the one that waits longest, and others in the same collection."""
        name = self._searches[0].asked.collection
        same = [one for one in self._searches if one.asked.collection == name][:_MOST_AT_ONCE]
        for one in same:
            self._searches.remove(one)
        wanted = []
        for one in same:
            if await one.wanted():
                wanted.append(one)
            elif not one.answer.done():
                one.answer.set_result(None)
        return wanted

    def _answers(self, searches: Sequence[_Search]) -> list[SearchResult | Exception]:
        """What each search finds, or why it finds nothing; all are in one collection."""
        alike: dict[int, list[int]] = defaultdict(list)
        for number, search in enumerate(searches):
            alike[search.asked.limit].append(number)
        answers: dict[int, SearchResult | Exception] = {}
        for numbers in alike.values():
            answers |= zip(numbers, self._attempt([searches[n] for n in numbers]), strict=True)
        again = [n for n, one in answers.items() if isinstance(one, NotFoundError)]
        if again:  # another process may have dropped the collection and made it again
            self._forget(searches[0].asked.collection)
        for number in again:
            answers[number] = self._attempt([searches[number]])[0]
        return [answers[number] for number in range(len(searches))]

    def _attempt(self, searches: Sequence[_Search]) -> Sequence[SearchResult | Exception]:
        """The answers to searches for as many hits."""
        asked = searches[0].asked
        try:
            return self._searcher_of(asked.collection).answers(
                [one.asked.query for one in searches],
                [one.materials for one in searches],
                asked.limit,
                time.monotonic(),
            )
        except UnreachableError as error:
            return [error] * len(searches)
        except Exception as error:
            if len(searches) == 1:
                return [error]
            return [self._attempt([one])[0] for one in searches]  # it may be due to one of them

    def _searcher_of(self, name: str) -> Searcher:
        """A searcher of a collection; the model of the last one stays loaded if it is the same."""
        collection = self._collection(name)
        before = self._searcher
        if before is not None and before.collection is collection:
            return before
        settings = replace(self.settings, collection=name or self.settings.collection)
        if before is not None and before.info.fingerprint == collection.info.fingerprint:
            encoding = before.encoding
        else:
            encoding = Encoding(settings, collection.info, progress=self._progress, note=self._note)
        collection.prepare()
        self._searcher = Searcher(settings, collection, encoding, note=self._note)
        return self._searcher

    def _collection(self, name: str) -> Collection:
        """A collection ("" for the page's own), opened again if it is not what it was.

        Raises:
            NotFoundError: there is none of that name now.
        """
        assert self._index is not None
        name = name or self.settings.collection
        try:
            info = self._index.info(name)
        except UsageError:  # it is no name for a collection
            raise NotFoundError(f"there is no collection {name!r}") from None
        with self._opening:
            collection = self._collections.get(name)
            if collection is None or collection.info != info:
                collection = self._index.collection(
                    name, patience=self.settings.patience, note=self._note
                )
                self._collections[name] = collection
            return collection

    def _forget(self, name: str) -> None:
        with self._opening:
            self._collections.pop(name or self.settings.collection, None)

    def _list(self) -> list[Described]:
        assert self._index is not None
        described = self._index.list()
        names = {one.name for one in described}
        with self._opening:  # of those that are gone, the files are still open
            for name, collection in list(self._collections.items()):
                if collection.info.name not in names:
                    del self._collections[name]
        return described

    def _close(self) -> None:
        self._worker.shutdown()
        self._lookups.shutdown()
        if self._index is not None:
            self._index.close()


async def _done(executor: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
