"""What a stack tells while it starts or stops in, a live table or a line for each change out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from clipstack.output.out import Mode, Out
from clipstack.output.progress import Animated
from clipstack.output.tables import new_table
from clipstack.stack.readiness import Progress
from clipstack.stack.services import StackService

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

STYLES = {
    "ready": "green",
    "healthy": "green",
    "running": "green",
    "unhealthy": "red",
    "restarting": "yellow",
    "exited": "yellow",
    "dead": "red",
    "paused": "yellow",
    "starting": "cyan",
    "absent": "dim",
    "created": "dim",
}


def styled(word: str) -> Text:
    """A state or a health in its colour."""
    from rich.text import Text

    return Text(word, style=STYLES.get(word, ""))


class StackProgress(Animated):
    """How a stack comes up: a table that is drawn anew, or a line for each change.

    A context manager that takes the events of `clipstack.stack.lifecycle`.
    """

    def __init__(self, out: Out) -> None:
        super().__init__(out)
        self._live: Live | None = None
        self._stage = ""
        self._services: list[Progress] = []
        self._said: dict[str, str] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.live import Live

            live = Live(
                console=self._out.console(),
                get_renderable=self._drawn,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live = self._drawing.enter_context(live)
        return self

    def stage(self, text: str) -> None:
        """A stage begins; the one before it is done."""
        self._stage = text
        if not self._live:
            self._out.note(text)

    def line(self, text: str) -> None:
        """One line that compose printed; --verbose shows it."""
        self._out.detail(text)

    def progress(self, services: Sequence[Progress]) -> None:
        """How far the services are now."""
        self._services = list(services)
        if self._live or self._out.mode is Mode.QUIET:
            return
        for one in services:
            now = f"waits for {one.waits_for}" if one.waits_for else "is ready"
            if self._said.get(one.service.name) != now:
                self._said[one.service.name] = now
                self._out.note(f"{one.service.name} {now} ({one.seconds:.1f} s)")

    def dying(self, service: StackService, lines: Sequence[str]) -> None:
        """A service keeps coming to an end; these are the last lines of its log."""
        self._out.warn(f"{service.name} keeps coming to an end. The last lines of its log:")
        for line in lines:
            self._out.warn(f"  {line}")

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner

        head = Spinner("dots", f"{self._stage}  {time.monotonic() - self._began:.0f} s")
        if not self._services:
            return head
        shown = new_table("service", "state", "health", "waits for", "s", right=("s",))
        for one in self._services:
            shown.add_row(
                one.service.name,
                styled(one.state),
                styled(one.health),
                one.waits_for,
                f"{one.seconds:.0f}",
            )
        return Group(head, shown)
