"""Progress of a stack that starts or stops: a live table, or a line for each change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from clipstack.events import ServiceState
from clipstack.output.out import Mode, Out
from clipstack.output.progress import Progress
from clipstack.output.tables import new_table
from clipstack.units import format_duration

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


class StackProgress(Progress):
    """How a stack comes up: a table that is drawn anew, or a line for each change."""

    def __init__(self, out: Out) -> None:
        super().__init__(out)
        self._live: Live | None = None
        self._stage = ""
        self._services: list[ServiceState] = []
        self._reported: dict[str, str] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.live import Live

            live = Live(
                console=self._out.console(),
                get_renderable=self._renderable,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live = self._drawing.enter_context(live)
        return self

    def stage(self, text: str, total: int | None = None) -> None:  # noqa: ARG002
        self._stage = text
        if not self._live:
            self._out.note(text)

    def services(self, states: Sequence[ServiceState]) -> None:
        self._services = list(states)
        if self._live or self._out.mode is Mode.QUIET:
            return
        for service in states:
            progress = f"waits for {service.waits_for}" if service.waits_for else "is ready"
            if self._reported.get(service.name) != progress:
                self._reported[service.name] = progress
                self._out.note(f"{service.name} {progress} ({format_duration(service.seconds)})")

    def _renderable(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner

        head = Spinner("dots", f"{self._stage}  {format_duration(time.monotonic() - self._began)}")
        if not self._services:
            return head
        table = new_table("service", "state", "health", "waits for", "s", right=("s",))
        for service in self._services:
            table.add_row(
                service.name,
                styled(service.state),
                styled(service.health),
                service.waits_for,
                f"{service.seconds:.0f}",
            )
        return Group(head, table)
