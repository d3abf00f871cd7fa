"""The sink that long tasks report to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service of a stack while the stack starts.

    Attributes:
        name: of the service, such as "milvus".
        state: of its container, or "absent".
        health: what the container's health check reports, "" without one.
        waits_for: what it waits for, in words; "" once it is ready.
        seconds: since the wait began, or until the service was ready.
    """

    name: str
    state: str
    health: str
    waits_for: str
    seconds: float


class Events:
    """What a long task reports while it runs.

    Every method does nothing by default; a subclass overrides those that it shows. Tasks call them
    from any thread.
    """

    def stage(self, text: str, total: int | None = None) -> None:
        """A stage begins, and the one before it ends.

        Args:
            total: items in the stage, None where that is not known.
        """

    def step(self, text: str) -> None:
        """A step of the current stage begins."""

    def set_total(self, total: int) -> None:
        """The task has `total` items; called when that becomes known, and again if it changes."""

    def advance(self, count: int, outcome: str = "") -> None:
        """`count` more items are done.

        Args:
            outcome: what became of them, for tasks that tell outcomes apart.
        """

    def download(self, name: str, done: int, total: int) -> None:
        """`done` of the `total` bytes of the model `name` have arrived."""

    def services(self, states: Sequence[ServiceState]) -> None:
        """The states of all services of a stack that starts."""

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        """`service` is unavailable; reported again and again until it is back.

        Args:
            left: seconds until the task gives up; None while the task goes on without it.
        """

    def resumed(self, service: str, seconds: float) -> None:
        """`service` is back after that many seconds."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def detail(self, text: str) -> None:
        """Something that only a verbose user wants, such as a line of a subprocess."""

    def warn(self, text: str) -> None:
        """Something that needs attention."""


SILENT = Events()
"""Shows nothing."""
