"""Background writes of a transfer: a writer thread, and the timing of batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

_WRITE_BYTES = 64 << 20
_ROW_BYTES = 1500
_MAX_WAIT_SECONDS = 2.0


class FlushTimer:
    """Decides when pending rows are written: in large batches, but without a long delay.

    SQLite writes a page of an index once per transaction that touches it, so that large batches
    write less.

    Args:
        dimension: of the rows' vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._max_waiting = max(1, _WRITE_BYTES // (4 * dimension + _ROW_BYTES))
        self._last_flush = time.monotonic()

    def is_due(self, waiting: int) -> bool:
        """Whether that many pending rows should be written now."""
        return (
            waiting >= self._max_waiting or time.monotonic() - self._last_flush > _MAX_WAIT_SECONDS
        )

    def restart(self) -> None:
        """Start the delay again, after a write."""
        self._last_flush = time.monotonic()


class BackgroundWriter:
    """A thread that writes while the caller reads on, one write at a time.

    Use as a context manager: it waits for the last write at its end, unless the block failed.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transfer")
        self._last_write: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait_for_last()
        finally:
            self._thread.shutdown()

    def submit(self, write: Callable[[], None]) -> None:
        """Call `write` in the thread, once the previous write is done.

        Raises:
            ClipstackError: the previous write failed.
        """
        self._wait_for_last()
        self._last_write = self._thread.submit(write)

    def _wait_for_last(self) -> None:
        write, self._last_write = self._last_write, None
        if write is not None:
            write.result()
