"""Rows of a transfer, written by a thread beside the reader, many at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

_WRITE_BYTES = 64 << 20
_ROW_BYTES = 1500
_LONGEST_WAIT = 2.0


class Pace:
    """Tells when rows should be written: many at once, as each write has its price, but none waits
    for long.

    SQLite writes a page of an index once for each transaction that touches it.

    Args:
        dimension: of the rows' vectors.
    """

    def __init__(self, dimension: int) -> None:
        self._most = max(1, _WRITE_BYTES // (4 * dimension + _ROW_BYTES))
        self._last = time.monotonic()

    def is_due(self, waiting: int) -> bool:
        """Whether so many rows that wait should be written."""
        return waiting >= self._most or time.monotonic() - self._last > _LONGEST_WAIT

    def written(self) -> None:
        """They are on their way."""
        self._last = time.monotonic()


class Writer:
    """One thread that writes while the caller reads on; one write waits at most.

    A context manager: what was given to it is written at its end, unless something failed.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transfer")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            self._thread.shutdown()

    def submit(self, write: Callable[[], None]) -> None:
        """Have `write` called after the writes before it.

        Raises:
            ClipstackError: the write before failed.
        """
        self._settle()
        self._last = self._thread.submit(write)

    def _settle(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()
