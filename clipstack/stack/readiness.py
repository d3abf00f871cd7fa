"""Waiting until the services of a stack are ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from clipstack.errors import ClipstackError, ExitCode
from clipstack.events import Events, ServiceState
from clipstack.stack import containers, logs
from clipstack.stack.containers import Container
from clipstack.stack.deadline import Deadline
from clipstack.stack.services import StackService

_PAUSE = 0.4
_FAILING_EXITS = 3
_LOG_LINES = 8
_LOG_WIDTH = 300
_OUT_OF_MEMORY = "out of memory"


@dataclass(slots=True)
class ServiceProgress:
    """How far the start of one service is.

    Attributes:
        container: as it was last seen, None before it exists.
        waits_for: what it waits for, in words; "" once it is ready.
        seconds: since the wait began, or until it was ready.
        waited: seconds spent on each thing it waited for.
        exits: how often it exited since the wait began.
        exit_reason: of the last exit.
    """

    service: StackService
    container: Container | None = None
    waits_for: str = "its container"
    seconds: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)
    exits: int = 0
    exit_reason: str = ""

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name

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
        """The health of the container, "" without a health check."""
        return self.container.health if self.container else ""

    def snapshot(self) -> ServiceState:
        """The present state, for `Events`."""
        return ServiceState(self.name, self.state, self.health, self.waits_for, self.seconds)


class ReadinessWaiter:
    """Waits until services are ready.

    Args:
        deadline: when it gives up.
        wait_for: names of the services that have to be ready; none for all.
    """

    def __init__(
        self,
        client: containers.DockerClient,
        project: str,
        services: Sequence[StackService],
        events: Events,
        deadline: Deadline,
        wait_for: Collection[str] = (),
    ) -> None:
        self._client = client
        self._project = project
        self._events = events
        self._deadline = deadline
        self._wait_for = wait_for
        self._started = self._polled = time.monotonic()
        self._restarts: dict[str, int] = {}
        self._reported: set[str] = set()
        self.services = [ServiceProgress(service) for service in services]

    @property
    def late(self) -> list[ServiceProgress]:
        """The services that have to be ready and are not."""
        return [
            progress
            for progress in self.services
            if not progress.is_ready and (not self._wait_for or progress.name in self._wait_for)
        ]

    def poll(self) -> dict[str, Container]:
        """Update and report the progress; returns the containers by service."""
        by_name = containers.list_containers(self._client, self._project)
        now = time.monotonic()
        for progress in self.services:
            if progress.waits_for:
                progress.seconds = now - self._started
                spent = progress.waited.get(progress.waits_for, 0.0)
                progress.waited[progress.waits_for] = spent + now - self._polled
            progress.container = by_name.get(progress.name)
        for progress in self.services:
            progress.waits_for = self._waits_for(progress)
            self._count_exits(progress)
        self._polled = now
        self._events.services([progress.snapshot() for progress in self.services])
        return by_name

    def wait(self, step: Callable[[Mapping[str, Container]], bool]) -> None:
        """Poll until the services are ready that have to be.

        Args:
            step: called after each poll, does what is left to do, and returns whether that is all.

        Raises:
            ClipstackError: the time is up (exit code 124), or `step` raised it.
        """
        while True:
            all_done = step(self.poll())
            if not self.late and (all_done or (self._wait_for and not self._deadline.left)):
                return
            if not self._deadline.left:
                raise self.timeout_error()
            time.sleep(min(_PAUSE, self._deadline.left))

    def timeout_error(self) -> ClipstackError:
        """The error for the end of the time, with what the services still wait for."""
        late = self.late
        hint = []
        for progress in late:
            if progress.exits:
                hint += [f"  {line}" for line in self._log(progress.name)[-3:]]
        for progress in late:
            if progress.exit_reason == _OUT_OF_MEMORY:
                variable = progress.service.memory_variable
                hint.append(f"{progress.service.title} needs more memory than {variable} allows.")
        names = " ".join(progress.name for progress in late)
        hint.append(f"`{f'clipstack logs {names}'.strip()}` says more.")
        hint.append(
            "What has started keeps running: `clipstack up --timeout SECONDS` waits again, "
            "`clipstack down` stops it."
        )
        waits = "; ".join(map(_describe, late)) or "`docker compose up` has not ended"
        return ClipstackError(
            f"the stack is not ready after {self._deadline.elapsed:.0f} s: {waits}",
            hint="\n".join(hint),
            code=ExitCode.TIMEOUT,
        )

    def _waits_for(self, progress: ServiceProgress) -> str:
        if progress.is_ready:
            return ""
        late = [
            other.name
            for name in progress.service.depends_on
            for other in self.services
            if other.name == name and not other.is_ready
        ]
        container = progress.container
        if late and (container is None or container.state == "created"):
            return " and ".join(late)
        if container is None:
            return "its container"
        if container.state == "running":
            return "its health check" if container.health != "unhealthy" else "its health"
        if container.state == "restarting":
            return "its restart"
        return "its start"

    def _count_exits(self, progress: ServiceProgress) -> None:
        container = progress.container
        if container is None:
            return
        before = self._restarts.setdefault(container.id, container.restarts)
        progress.exits = container.restarts - before
        if container.state in ("restarting", "exited", "dead"):
            code = f"exit code {container.exit_code}"
            progress.exit_reason = _OUT_OF_MEMORY if container.oom_killed else code
        if progress.exits < _FAILING_EXITS or progress.is_ready or progress.name in self._reported:
            return
        self._reported.add(progress.name)
        self._events.warn(f"{progress.name} keeps exiting. The last lines of its log:")
        for line in self._log(progress.name):
            self._events.warn(f"  {line}")

    def _log(self, name: str) -> list[str]:
        lines = logs.read(self._client, self._project, [name], tail=_LOG_LINES)
        return [line.text[:_LOG_WIDTH] for line in lines]


def _describe(progress: ServiceProgress) -> str:
    text = f"{progress.name} waits for {progress.waits_for}"
    if progress.exits:
        times = "once" if progress.exits == 1 else f"{progress.exits} times"
        reason = f", last with {progress.exit_reason}" if progress.exit_reason else ""
        text += f", after it exited {times}{reason}"
    return text
