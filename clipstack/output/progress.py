"""What a long task reports in; a moving bar, or now and then a line, on stderr out."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from clipstack.output.out import Mode, Out
from clipstack.pipeline import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_QUIET_SECONDS = 15.0


class ImportProgress:
    """How far an import is: files done of those found, rate and time left.

    A context manager that takes the events of `clipstack.pipeline`. `total` may be set at any time,
    from any thread, once it is known.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._total: int | None = None
        self._done = 0
        self._failed = 0
        self._work = 0
        self._started = self._spoke = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ImportProgress:
        if self._out.animated:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("Importing"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", style="cyan"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[failed]}", style="yellow"),
                console=self._out.console(),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total, rate="", failed="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def total(self) -> int | None:
        """Files in all, or None while they are still being counted."""
        return self._total

    @total.setter
    def total(self, count: int | None) -> None:
        self._total = count
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=count)

    def done(self, outcome: Outcome, count: int) -> None:
        """`count` more files ended as `outcome`."""
        self._done += count
        if outcome is Outcome.FAILED:
            self._failed += count
        if outcome in {Outcome.NEW, Outcome.CHANGED}:
            self._work += count
        if self._bar and self._task is not None:
            self._bar.update(
                self._task,
                advance=count,
                rate=self._rate(),
                failed=f"{self._failed} failed" if self._failed else "",
            )
        elif time.monotonic() - self._spoke > _QUIET_SECONDS:
            self._spoke = time.monotonic()
            if self._out.mode is not Mode.QUIET:
                self._out.note(f"{self._done} of {self._total or '?'} files, {self._rate()}")

    def _rate(self) -> str:
        elapsed = time.monotonic() - self._started
        return f"{self._work / elapsed:.1f} images/s" if self._work and elapsed > 1 else ""


class DownloadProgress:
    """A bar for a model on its way from the hub; call it with bytes done and bytes in all."""

    def __init__(self, out: Out, name: str) -> None:
        self._out = out
        self._name = name
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._announced = False

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        if not self._announced:
            self._announced = True
            self._out.note(f"Downloading {self._name} ({total / 1e6:.0f} MB), once")
            if self._out.animated:
                self._start()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=self._out.console(),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("")
