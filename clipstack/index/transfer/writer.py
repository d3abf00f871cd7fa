"""Rows of a transfer, written by a thread beside the reader, many at once."""

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
    """Tells when rows should be written: many at once, as each write has its price, but none waits
    for long.

    SQLite writes a page of an index once for each transaction that touches it.

    Args:
        dimension: of the rows' vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._max_waiting = max(1, _WRITE_BYTES // (4 * dimension + _ROW_BYTES))
        self._last_flush = time.monotonic()

    def is_due(self, waiting: int) -> bool:
        """Whether so many rows that wait should be written."""
        return (
            waiting >= self._max_waiting or time.monotonic() - self._last_flush > _MAX_WAIT_SECONDS
        )

    def restart(self) -> None:
        """They are on their way."""
        self._last_flush = time.monotonic()


class BackgroundWriter:
    """One thread that writes while the caller reads on; one write waits at most.

    A context manager: what was given to it is written at its end, unless something failed.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transfer")
        self._last_flush: Future[None] | None = None

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
        """Have `write` called after the writes before it.

        Raises:
            ClipstackError: the write before failed.
        """
        self._wait_for_last()
        self._last_flush = self._thread.submit(write)

    def _wait_for_last(self) -> None:
        write, self._last_flush = self._last_flush, None
        if write is not None:
            write.result()
