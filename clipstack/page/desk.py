"""Searches in, one at a time; answers out. What they need stays open until others want it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from clipstack.errors import NotFoundError, UnreachableError
from clipstack.index import lock
from clipstack.index.collections import Described
from clipstack.page.asking import Asked
from clipstack.search import Query, Result, Term
from clipstack.search.encoding import Encoding
from clipstack.search.searcher import Searcher
from clipstack.settings import Settings

T = TypeVar("T")

_LOOK_SECONDS = 0.25
_LONGEST_WAIT = 2.0


class Desk:
    """The target's collections, for one page.

    All work on the database and the encoder is done in one thread, in the order it is asked for.
    The embedded database lets one process in at a time, so it is closed when another wants it, and
    opened again for the next request; the encoder stays.

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
        self._searcher: Searcher | None = None
        self._name = settings.collection
        self._encoding: Encoding | None = None
        self._fingerprint = ""
        self._known: list[Described] = []
        self._worker = ThreadPoolExecutor(1, "search")
        self._turn = asyncio.Lock()

    def open(self) -> list[Described]:
        """Open the page's own collection and load its model; returns all of the target's.

        Raises:
            NotFoundError: nothing is imported, or there is no such collection.
            UnreachableError: the database is in use, or the server does not answer.
            PrerequisiteError: the model is not to be had.
            ClipstackError: the collection is empty, or holds another model's vectors.
        """
        self._open(self.settings.collection).search(Query((Term(text="a"),)), limit=1)
        return self._list()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Makes way for other processes while the page runs, and closes everything after it."""
        making_way = asyncio.create_task(self._make_way())
        try:
            yield
        finally:
            making_way.cancel()
            await self._run(self._close)
            self._worker.shutdown()

    async def collections(self) -> list[Described]:
        """Every collection of the target."""
        return await self._run(self._list) or []

    async def search(self, asked: Asked, wanted: Callable[[], Any]) -> Result | None:
        """The hits of one search, or None when nobody waits for them any more.

        Args:
            wanted: an awaitable that is True while somebody does.

        Raises:
            ClipstackError: as `clipstack.search.search`.
        """

        def work() -> Result:
            return self._open(asked.collection).search(asked.query, limit=asked.limit)

        return await self._run(work, wanted)

    async def row(self, collection: str, id: str) -> dict[str, Any] | None:
        """Every field of a row but its vector, or None when there is no such row."""

        def work() -> dict[str, Any] | None:
            return self._open(collection).row(id)

        return await self._run(work)

    async def _run(
        self, work: Callable[[], T], wanted: Callable[[], Any] | None = None
    ) -> T | None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            if wanted and not await wanted():
                return None
            try:
                return await loop.run_in_executor(self._worker, work)
            except UnreachableError:  # the next one opens it again
                await loop.run_in_executor(self._worker, self._close)
                raise

    def _open(self, collection: str) -> Searcher:
        name = collection or self.settings.collection
        if self._searcher is not None and self._name == name:
            return self._searcher
        known = {one.name: one.info for one in self._known}
        if self._known and not known.get(name):
            raise NotFoundError(f"there is no collection {name!r} to search in")
        self._close()
        self._searcher = self._opened(name)
        info = self._searcher.info
        if info.fingerprint != self._fingerprint and self._encoding is not None:
            self._close()
            self._encoding = None  # it is another model's
            self._searcher = self._opened(name)
        self._encoding = self._searcher.encoding
        self._fingerprint = info.fingerprint
        self._name = name
        return self._searcher

    def _opened(self, name: str) -> Searcher:
        return Searcher(
            replace(self.settings, collection=name),
            progress=self._progress,
            note=self._note,
            encoding=self._encoding,
        )

    def _list(self) -> list[Described]:
        self._known = self._open(self._name).collections()
        return self._known

    def _close(self) -> None:
        if self._searcher is not None:
            self._searcher.close()
            self._searcher = None

    async def _make_way(self) -> None:
        """Close an embedded database as soon as another process wants it."""
        if self.settings.milvus_uri:
            return
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._searcher is not None and lock.is_wanted(self.settings.database):
                await self._run(self._close)
