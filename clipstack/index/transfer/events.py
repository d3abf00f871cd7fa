"""What a transfer reports while it runs."""

from __future__ import annotations

from typing import Protocol

from clipstack.retry import Waiting


class Events(Waiting, Protocol):
    """Who wants to know how far a transfer is; called from any thread.

    Attributes:
        total: rows in all, once that is known.
    """

    total: int | None

    def done(self, rows: int) -> None:
        """So many rows more are done with."""
        ...

    def note(self, text: str) -> None:
        """Something good to know."""
        ...
