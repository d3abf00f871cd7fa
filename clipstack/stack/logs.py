"""A stack's containers in, the lines they wrote in the order of time out."""

from __future__ import annotations

import heapq
import queue
import re
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clipstack.errors import UsageError
from clipstack.stack import containers
from clipstack.stack.containers import Container

if TYPE_CHECKING:
    from docker import DockerClient

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PAUSE = 0.5


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of a log: when it was written (RFC 3339, nanoseconds, UTC), by whom, and what."""

    time: str
    service: str
    text: str


def since(text: str) -> float:
    """A time as `--since` takes it, in seconds since the epoch: "10m", "1h30m", or a date.

    Raises:
        UsageError: it is neither.
    """
    if re.fullmatch(r"(\d+[smhd])+", text):
        parts = re.findall(r"(\d+)([smhd])", text)
        return time.time() - sum(int(number) * _UNITS[unit] for number, unit in parts)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no time", hint="Write 10m, 2h, or 2026-03-01T12:00:00."
        ) from None
    return found.astimezone().timestamp()


def read(
    client: DockerClient,
    project: str,
    services: Collection[str] = (),
    *,
    since: float | None = None,
    tail: int | None = None,
) -> Iterator[Line]:
    """What the services have written so far, by time.

    Args:
        services: all of the stack's for none.
        since: only later lines, in seconds since the epoch.
        tail: only the last lines of each service.
    """
    found = containers.containers(client, project).values()
    wanted = [one for one in found if not services or one.service in services]
    return heapq.merge(*(_lines(client, one, since, tail) for one in wanted))


def follow(
    client: DockerClient,
    project: str,
    services: Collection[str] = (),
    *,
    since: float | None = None,
    tail: int | None = None,
) -> Iterator[Line]:
    """As `read`, and then each line as it comes, until the stack is gone.

    A service that restarts, or gets a new container, is followed on.
    """
    now = time.time()
    last: dict[str, str] = {}
    for line in read(client, project, services, since=since, tail=tail):
        last[line.service] = line.time
        yield line
    fresh: queue.Queue[Line | None] = queue.Queue()
    names = [
        one for one in containers.containers(client, project) if not services or one in services
    ]
    start = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    for name in names:
        after = last.get(name, start if tail == 0 else "")
        line_of = (client, project, name, after, fresh)
        threading.Thread(target=_follow_one, args=line_of, daemon=True).start()
    ended = 0
    while ended < len(names):
        found = fresh.get()
        if found:
            yield found
        else:
            ended += 1


def _follow_one(
    client: DockerClient, project: str, name: str, after: str, lines: queue.Queue[Line | None]
) -> None:
    from docker.errors import DockerException

    try:
        while found := containers.containers(client, project):
            moment = _seconds(after) if after else None
            container = found.get(name)
            fresh = _lines(client, container, moment, None, follow=True) if container else ()
            for line in fresh:
                if line.time > after:
                    after = line.time
                    lines.put(line)
            time.sleep(_PAUSE)  # it has stopped, and may start again, or get a new container
    except (DockerException, OSError):
        pass  # the engine has gone
    finally:
        lines.put(None)


def _lines(
    client: DockerClient,
    container: Container,
    since: float | None,
    tail: int | None,
    *,
    follow: bool = False,
) -> Iterator[Line]:
    chunks = client.api.logs(
        container.id,
        stream=True,
        timestamps=True,
        follow=follow,
        since=since,
        tail="all" if tail is None else tail,
    )
    for chunk in chunks:
        for raw in chunk.decode("utf-8", "replace").splitlines():
            moment, _, text = raw.partition(" ")
            yield Line(moment, container.service, text.rstrip())


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment[:26] + "+00:00").timestamp()
