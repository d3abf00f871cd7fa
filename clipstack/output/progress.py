"""What a long task reports in; a moving bar, or now and then a line, on stderr out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from clipstack.output.out import Mode, Out

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

    from clipstack.ingest.pipeline import Outcome

_QUIET_SECONDS = 15.0


class Animated:
    """Something that rich draws on stderr until the `with` block ends; none where that moves not.

    What is shared by all that report progress; a subclass has what is drawn and the events.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._drawing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drawing.close()


class Progress(Animated):
    """A bar of rich's; a subclass has the columns."""

    def __init__(self, out: Out) -> None:
        super().__init__(out)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def _start(self, *columns: ProgressColumn) -> None:
        from rich.progress import Progress as RichProgress

        bar = RichProgress(*columns, console=self._out.console(), transient=True)
        self._bar = self._drawing.enter_context(bar)

    def _update(self, **fields: Any) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, **fields)


class CountingProgress(Progress):
    """How far a long task is: how many are done of those there are, rate and time left, and what
    it waits for.

    A context manager. `total` may be set at any time, from any thread, once it is known. A subclass
    counts, and has the rate.
    """

    def __init__(self, out: Out, label: str, unit: str) -> None:
        super().__init__(out)
        self._label = label
        self._unit = unit
        self._total: int | None = None
        self._done = 0
        self._started = self._spoke = time.monotonic()
        self._away: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

            self._start(
                TextColumn(self._label),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}", style="cyan"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[failed]}", style="yellow"),
                TextColumn("{task.fields[away]}", style="yellow", markup=False),
            )
            assert self._bar
            task = self._bar.add_task("", total=self._total, rate="", failed="", away="")
            self._task = task
        return self

    @property
    def total(self) -> int | None:
        """How many there are, or None while they are still being counted."""
        return self._total

    @total.setter
    def total(self, count: int | None) -> None:
        self._total = count
        self._update(total=count)

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        """`service` is away; `left` is how many seconds it has to come back, None when others do
        its work."""
        new = service not in self._away
        how = "going on without it" if left is None else f"waiting {left:.0f} s more"
        self._away[service] = f"{service} is away, {how}"
        if new and not self._bar:
            upto = how if left is None else f"waiting up to {left:.0f} s for it"
            self._out.note(f"{reason}; {upto}.")
        self._update(away="; ".join(self._away.values()))

    def resumed(self, service: str, seconds: float) -> None:
        """`service` is back, after that long."""
        self._away.pop(service, None)
        self._out.note(f"{service} is back after {seconds:.0f} s; going on.")
        self._update(away="; ".join(self._away.values()))

    def note(self, text: str) -> None:
        """Something good to know."""
        self._out.note(text)

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
        elapsed = time.monotonic() - self._started
        return count / elapsed if elapsed > 1 else 0.0


class ImportProgress(CountingProgress):
    """How far an import is; takes the events of `clipstack.ingest.pipeline`."""

    def __init__(self, out: Out) -> None:
        super().__init__(out, "Importing", "files")
        self._failed = 0
        self._work = 0

    def done(self, outcome: Outcome, count: int) -> None:
        """`count` more files ended as `outcome`."""
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

    def done(self, rows: int) -> None:
        """So many rows more are done with."""
        self._advance(rows)

    def _rate(self) -> str:
        rate = self._per_second(self._done)
        return f"{rate:,.0f} rows/s" if rate else ""


class DownloadProgress(Progress):
    """A bar for a model on its way from the hub; call it with bytes done and bytes in all."""

    def __init__(self, out: Out, name: str) -> None:
        super().__init__(out)
        self._name = name
        self._announced = False

    def __call__(self, done: int, total: int) -> None:
        if not self._announced:
            self._announced = True
            self._out.note(f"Downloading {self._name} ({total / 1e6:.0f} MB), once")
            if self._out.animated:
                self._draw()
        self._update(completed=done, total=total)

    def _draw(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        remaining = TimeRemainingColumn(compact=True)
        self._start(BarColumn(), DownloadColumn(), TransferSpeedColumn(), remaining)
        assert self._bar
        self._task = self._bar.add_task("")
