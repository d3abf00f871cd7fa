"""Progress of a build on stderr."""

from __future__ import annotations

import time
from typing import Self

from clipstack.output.out import Out
from clipstack.output.progress import Progress
from clipstack.units import format_duration


class BuildProgress(Progress):
    """The stages of a build: a spinner with the step it is at, or a line for each."""

    def __init__(self, out: Out) -> None:
        super().__init__(out)
        self._stage = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = self._started(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[step]}", style="dim", markup=False),
                TimeElapsedColumn(),
            )
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._end()
        super().__exit__(*error)

    def stage(self, text: str, total: int | None = None) -> None:  # noqa: ARG002
        self._end()
        self._stage, self._since = text, time.monotonic()
        if self._bar:
            self._task = self._bar.add_task(text, total=None, step="")
        else:
            self._out.note(text)

    def step(self, text: str) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, step=text)
        else:
            self._out.note(f"  {text}")

    def _end(self) -> None:
        if not self._stage:
            return
        if self._bar and self._task is not None:
            self._bar.remove_task(self._task)
            self._out.note(f"{self._stage}  {format_duration(time.monotonic() - self._since)}")
        self._stage = ""
