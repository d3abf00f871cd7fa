"""The containers of a stack in, again and again; how far each service is, and the end, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from clipstack.errors import ClipstackError, ExitCode
from clipstack.stack import containers, logs
from clipstack.stack.containers import Container
from clipstack.stack.services import StackService

if TYPE_CHECKING:
    from docker import DockerClient

_PAUSE = 0.4
_DYING = 3
_LINES = 8
_WIDTH = 300
_NO_MEMORY = "out of memory"


@dataclass(slots=True)
class Progress:
    """How far one service is.

    Attributes:
        container: as it was last seen, None before there is one.
        waits_for: what it waits for, in words; "" once it is ready.
        seconds: since the wait began, or until it was ready.
        waited: seconds spent on each thing it waited for.
        ends: how often it came to an end since the wait began; ended_with: why, the last time.
    """

    service: StackService
    container: Container | None = None
    waits_for: str = "its container"
    seconds: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)
    ends: int = 0
    ended_with: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.container is not None and self.container.is_ready

    @property
    def state(self) -> str:
        """The container's state, or "absent"."""
        return self.container.state if self.container else "absent"

    @property
    def health(self) -> str:
        """What the container's health check says, "" without one."""
        return self.container.health if self.container else ""


class Events(Protocol):
    """What a start tells while it goes on."""

    def stage(self, text: str) -> None:
        """A stage begins; the one before it is done."""

    def line(self, text: str) -> None:
        """One line that compose printed; from any thread."""

    def progress(self, services: Sequence[Progress]) -> None:
        """How far the services are now."""

    def dying(self, service: StackService, lines: Sequence[str]) -> None:
        """A service keeps coming to an end; these are the last lines of its log."""


class Wait:
    """Watches services until they are ready.

    Args:
        timeout: seconds from now until it gives up.
    """

    def __init__(
        self,
        client: DockerClient,
        project: str,
        services: Sequence[StackService],
        events: Events,
        timeout: float,
    ) -> None:
        self._client = client
        self._project = project
        self._events = events
        self._timeout = timeout
        self._started = self._looked = time.monotonic()
        self._restarts: dict[str, int] = {}
        self._told: set[str] = set()
        self.services = [Progress(service) for service in services]

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self._started + self._timeout - time.monotonic())

    def look(self) -> dict[str, Container]:
        """See how far the services are; returns the containers by service."""
        found = containers.containers(self._client, self._project)
        now = time.monotonic()
        for one in self.services:
            if one.waits_for:
                one.seconds = now - self._started
                spent = one.waited.get(one.waits_for, 0.0)
                one.waited[one.waits_for] = spent + now - self._looked
            one.container = found.get(one.service.name)
        for one in self.services:
            one.waits_for = self._waits_for(one)
            self._count_ends(one)
        self._looked = now
        self._events.progress(self.services)
        return found

    def until_ready(self, step: Callable[[Mapping[str, Container]], bool]) -> None:
        """Look until every service is ready.

        Args:
            step: called after each look, does what is left to do, and says whether it is all done.

        Raises:
            ClipstackError: the time is up (exit code 124), or `step` raised it.
        """
        while True:
            found = self.look()
            done = step(found)
            if done and all(one.is_ready for one in self.services):
                return
            if not self.left:
                raise self.too_late()
            time.sleep(min(_PAUSE, self.left))

    def too_late(self, what: str = "") -> ClipstackError:
        """The error for a deadline that has passed, with what was waited for."""
        late = [one for one in self.services if not one.is_ready]
        waits = "; ".join(map(_lateness, late))
        hint = [f"  {line}" for one in late if one.ends for line in self._log(one.service)[-3:]]
        hint += [
            f"{one.service.title} needs more memory than {one.service.memory} lets it have."
            for one in late
            if one.ended_with == _NO_MEMORY
        ]
        names = " ".join(one.service.name for one in late)
        hint.append(f"`{f'clipstack logs {names}'.strip()}` says more.")
        hint.append(
            "What has started goes on: `clipstack up --timeout SECONDS` waits again, "
            "`clipstack down` stops it."
        )
        return ClipstackError(
            f"the stack is not ready after {self._timeout:.0f} s: {what or waits}",
            hint="\n".join(hint),
            code=ExitCode.TIMEOUT,
        )

    def _waits_for(self, one: Progress) -> str:
        if one.is_ready:
            return ""
        by_name = {other.service.name: other for other in self.services}
        needed = [by_name[name] for name in one.service.depends_on if name in by_name]
        late = [other.service.name for other in needed if not other.is_ready]
        container = one.container
        if late and (container is None or container.state == "created"):
            return " and ".join(late)
        if container is None:
            return "its container"
        if container.state == "running":
            return "its health check" if container.health != "unhealthy" else "its health"
        if container.state == "restarting":
            return "its restart"
        return "its start"

    def _count_ends(self, one: Progress) -> None:
        if one.container is None:
            return
        before = self._restarts.setdefault(one.container.id, one.container.restarts)
        one.ends = one.container.restarts - before
        if one.container.state in ("restarting", "exited", "dead"):
            code = one.container.exit_code
            one.ended_with = _NO_MEMORY if one.container.oom_killed else f"exit code {code}"
        if one.ends >= _DYING and one.service.name not in self._told and not one.is_ready:
            self._told.add(one.service.name)
            self._events.dying(one.service, self._log(one.service))

    def _log(self, service: StackService) -> list[str]:
        lines = logs.read(self._client, self._project, [service.name], tail=_LINES)
        return [line.text[:_WIDTH] for line in lines]


def _lateness(one: Progress) -> str:
    said = f"{one.service.name} waits for {one.waits_for}"
    if one.ends:
        times = "once" if one.ends == 1 else f"{one.ends} times"
        why = f", last with {one.ended_with}" if one.ended_with else ""
        said += f", after it ended {times}{why}"
    return said
