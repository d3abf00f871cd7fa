"""The steps of a long task in; a moving bar, or a line for each step, on stderr out."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from clipstack.output.out import Out

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Steps:
    """What is being done, and how far it is; a context manager with `optimize.Events`' methods."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Steps:
        if self._out.animated:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._out.console(),
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

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
