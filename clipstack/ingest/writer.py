"""A thread that writes rows to a collection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from clipstack.index.base import Collection
from clipstack.index.schema import Row

Tag = TypeVar("Tag")

_MAX_PENDING = 4


class Writer(Generic[Tag]):
    """Writes to a collection in order, in one thread.

    Each write has a tag, which `settled` returns once the rows are written.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writes: deque[tuple[Tag, Future[None]]] = deque()

    def write(self, new: Sequence[Row], replaced: Sequence[Row], tag: Tag) -> None:
        """Write rows.

        Args:
            new: rows that are not in the collection yet.
            replaced: rows in place of those with the same ids.
        """
        self._writes.append((tag, self._thread.submit(self._upsert, new, replaced)))

    def settled(self, allowed: int = _MAX_PENDING) -> Iterator[Tag]:
        """Yield the tags of finished writes; wait while more than `allowed` are pending.

        Raises:
            ClipstackError: a write failed; the ones after it are cancelled.
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
        """End the thread, once all writes are settled."""
        self._thread.shutdown()

    def _upsert(self, new: Sequence[Row], replaced: Sequence[Row]) -> None:
        if new:
            self._collection.upsert(new, new=True)
        if replaced:
            self._collection.upsert(replaced)
