"""A thread that writes rows to a collection, beside whatever else goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from clipstack.index.base import Collection
from clipstack.index.schema import Row

Tag = TypeVar("Tag")

_IN_FLIGHT = 4


class Writer(Generic[Tag]):
    """One thread that writes to a collection, in order.

    Each write has a tag, given back when its rows are safely there.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writes: deque[tuple[Tag, Future[None]]] = deque()

    def write(self, new: Sequence[Row], old: Sequence[Row], tag: Tag) -> None:
        """Write rows that are not stored yet, and rows in place of those with the same ids."""
        self._writes.append((tag, self._thread.submit(self._upsert, new, old)))

    def settled(self, allowed: int = _IN_FLIGHT) -> Iterator[Tag]:
        """Tags of what is written; waits while more than `allowed` writes are on their way.

        Raises:
            ClipstackError: the first write that failed; those behind it are given up.
        """
        while self._writes and (len(self._writes) > allowed or self._writes[0][1].done()):
            tag, write = self._writes.popleft()
            try:
                write.result()
            except CancelledError:
                continue
            except BaseException:
                for _, later in self._writes:
                    later.cancel()
                raise
            yield tag

    def close(self) -> None:
        """End the thread; call it when everything is settled."""
        self._thread.shutdown()

    def _upsert(self, new: Sequence[Row], old: Sequence[Row]) -> None:
        if new:
            self._collection.upsert(new, new=True)
        if old:
            self._collection.upsert(old)
