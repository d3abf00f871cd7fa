"""The steps of a long task in; a moving bar, or a line for each step, on stderr out."""

from __future__ import annotations

from typing import Self

from clipstack.output.progress import Progress


class Steps(Progress):
    """What is being done, and how far it is; a context manager with `optimize.Events`' methods."""

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            self._start(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
        return self

    def step(self, text: str, total: int | None = None) -> None:
        """Something new begins, which has `total` parts; None where nobody knows."""
        if not self._bar:
            self._out.note(f"{text}: {total} pictures" if total else text)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(text, total=total)

    def done(self, count: int) -> None:
        """`count` more parts of it are done."""
        if self._bar and self._task is not None:
            self._bar.advance(self._task, count)
