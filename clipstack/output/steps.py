"""Progress of a task in stages on stderr: a bar on a terminal, else a line for each stage."""

from __future__ import annotations

from typing import Self

from clipstack.output.progress import Progress


class Steps(Progress):
    """What is being done, and how far it is."""

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            self._bar = self._started(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
        return self

    def stage(self, text: str, total: int | None = None) -> None:
        if not self._bar:
            self._out.note(f"{text}: {total} pictures" if total else text)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(text, total=total)

    def advance(self, count: int, outcome: str = "") -> None:  # noqa: ARG002
        if self._bar and self._task is not None:
            self._bar.advance(self._task, count)
