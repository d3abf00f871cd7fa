"""Progress of long tasks on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from clipstack.events import Events
from clipstack.output.out import Mode, Out
from clipstack.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

_QUIET_SECONDS = 15.0


class Progress(Events):
    """The events of a task on stderr: a line for each note, a bar for a download.

    A context manager; what it draws goes when the `with` block ends, and nothing is drawn where
    stderr is no terminal. Subclasses draw more.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._drawing = ExitStack()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._downloading = ""
        self._download: tuple[RichProgress, TaskID] | None = None
        self._away: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drawing.close()

    def note(self, text: str) -> None:
        self._out.note(text)

    def detail(self, text: str) -> None:
        self._out.detail(text)

    def warn(self, text: str) -> None:
        self._out.warn(text)

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        new = service not in self._away
        how = "going on without it" if left is None else f"waiting {format_duration(left)} more"
        self._away[service] = f"{service} is away, {how}"
        if new and not self._bar:
            upto = how if left is None else f"waiting up to {format_duration(left)} for it"
            self._out.note(f"{reason}; {upto}.")
        self._update(away="; ".join(self._away.values()))

    def resumed(self, service: str, seconds: float) -> None:
        self._away.pop(service, None)
        self._out.note(f"{service} is back after {format_duration(seconds)}; going on.")
        self._update(away="; ".join(self._away.values()))

    def download(self, name: str, done: int, total: int) -> None:
        if self._downloading != name:
            self._downloading = name
            self._out.note(f"Downloading {name} ({format_bytes(total)}), once")
            if self._out.animated and not self._download:
                self._download = self._download_bar()
        if self._download:
            bar, task = self._download
            bar.update(task, completed=done, total=total)

    def _download_bar(self) -> tuple[RichProgress, TaskID]:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        remaining = TimeRemainingColumn(compact=True)
        bar = self._started(BarColumn(), DownloadColumn(), TransferSpeedColumn(), remaining)
        return bar, bar.add_task("")

    def _started(self, *columns: ProgressColumn) -> RichProgress:
        """A bar with these columns, on the terminal until the `with` block ends."""
        from rich.progress import Progress as RichProgress

        bar = RichProgress(*columns, console=self._out.console(), transient=True)
        return self._drawing.enter_context(bar)

    def _update(self, **fields: Any) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, **fields)


class CountingProgress(Progress):
    """How far a long task is: how many are done of those there are, rate and time left, and what
    it waits for.

    A subclass counts the items and has their rate.
    """

    def __init__(self, out: Out, label: str, unit: str) -> None:
        super().__init__(out)
        self._label = label
        self._unit = unit
        self._total: int | None = None
        self._done = 0
        self._began = self._spoke = time.monotonic()

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

            self._bar = self._started(
                TextColumn(self._label),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", style="cyan"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[failed]}", style="yellow"),
                TextColumn("{task.fields[away]}", style="yellow", markup=False),
            )
            task = self._bar.add_task("", total=self._total, rate="", failed="", away="")
            self._task = task
        return self

    def set_total(self, total: int) -> None:
        self._total = total
        self._update(total=total)

    def _advance(self, count: int, failed: str = "") -> None:
        self._done += count
        if self._bar:
            self._update(advance=count, rate=self._rate(), failed=failed)
        elif time.monotonic() - self._spoke > _QUIET_SECONDS:
            self._spoke = time.monotonic()
            if self._out.mode is not Mode.QUIET:
                total = "?" if self._total is None else self._total
                self._out.note(f"{self._done} of {total} {self._unit}, {self._rate()}")

    def _rate(self) -> str:
        raise NotImplementedError

    def _per_second(self, count: int) -> float:
        """The rate of `count` since the beginning; 0 in the first second."""
        elapsed = time.monotonic() - self._began
        return count / elapsed if elapsed > 1 else 0.0


class ImportProgress(CountingProgress):
    """How far an import is; takes the events of `clipstack.ingest.pipeline`."""

    def __init__(self, out: Out) -> None:
        super().__init__(out, "Importing", "files")
        self._failed = 0
        self._work = 0

    def advance(self, count: int, outcome: str = "") -> None:
        if outcome == "failed":
            self._failed += count
        if outcome in ("new", "changed"):
            self._work += count
        self._advance(count, f"{self._failed} failed" if self._failed else "")

    def _rate(self) -> str:
        rate = self._per_second(self._work)
        return f"{rate:.1f} images/s" if rate else ""


class TransferProgress(CountingProgress):
    """How far an export, import or copy of rows is; takes the events of
    `clipstack.index.transfer`.

    Args:
        label: what is done, such as "Copying".
    """

    def __init__(self, out: Out, label: str) -> None:
        super().__init__(out, label, "rows")

    def advance(self, count: int, outcome: str = "") -> None:  # noqa: ARG002
        self._advance(count)

    def _rate(self) -> str:
        rate = self._per_second(self._done)
        return f"{rate:,.0f} rows/s" if rate else ""
