"""Logs of the containers of a stack."""

from __future__ import annotations

import heapq
import queue
import re
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from clipstack.errors import ClipstackError, UsageError
from clipstack.stack import containers
from clipstack.stack.containers import Container

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PAUSE = 0.5


@dataclass(frozen=True, slots=True, order=True)
class LogLine:
    """One line of a log; `time` is when it was written, RFC 3339 with nanoseconds in UTC."""

    time: str
    service: str
    text: str


def parse_since(text: str) -> float:
    """The value of `--since` in seconds since the epoch.

    Args:
        text: a time before now, such as "10m" or "1h30m", or a date in ISO 8601.

    Raises:
        UsageError: it is neither.
    """
    if re.fullmatch(r"(\d+[smhd])+", text):
        parts = re.findall(r"(\d+)([smhd])", text)
        return time.time() - sum(int(number) * _UNITS[unit] for number, unit in parts)
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise UsageError(
            f"--since {text!r} is not a time", hint="Write 10m, 2h, or 2026-03-01T12:00:00."
        ) from None


def read(
    client: containers.DockerClient,
    project: str,
    services: Collection[str] = (),
    *,
    since: float | None = None,
    tail: int | None = None,
) -> Iterator[LogLine]:
    """The lines that services have written so far, in the order of time.

    Args:
        services: their names; none for all of the stack's.
        since: only later lines, in seconds since the epoch.
        tail: only the last lines of each service.
    """
    return heapq.merge(
        *(
            _lines(client, container, since, tail)
            for name, container in containers.list_containers(client, project).items()
            if not services or name in services
        )
    )


def follow(
    client: containers.DockerClient,
    project: str,
    services: Collection[str] = (),
    *,
    since: float | None = None,
    tail: int | None = None,
) -> Iterator[LogLine]:
    """As `read`, and then each line as it is written, until the stack is gone.

    It goes on with a service that restarts or gets a new container.
    """
    now = time.time()
    last: dict[str, str] = {}
    for line in read(client, project, services, since=since, tail=tail):
        last[line.service] = line.time
        yield line
    lines: queue.Queue[LogLine | None] = queue.Queue()
    names = [
        name
        for name in containers.list_containers(client, project)
        if not services or name in services
    ]
    start = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    for name in names:
        after = last.get(name, start if tail == 0 else "")
        arguments = (client, project, name, after, lines)
        threading.Thread(target=_follow_service, args=arguments, daemon=True).start()
    ended = 0
    while ended < len(names):
        line_or_end = lines.get()
        if line_or_end:
            yield line_or_end
        else:
            ended += 1


def _follow_service(
    client: containers.DockerClient,
    project: str,
    name: str,
    after: str,
    lines: queue.Queue[LogLine | None],
) -> None:
    """Put the lines of a service into a queue, and None at the end."""
    try:
        with containers.translate_errors():
            while by_name := containers.list_containers(client, project):
                moment = _seconds(after) if after else None
                container = by_name.get(name)
                new = _lines(client, container, moment, None, follow=True) if container else ()
                for line in new:
                    if line.time > after:
                        after = line.time
                        lines.put(line)
                time.sleep(_PAUSE)  # it has stopped, and may start again, or get a new container
    except (ClipstackError, OSError):
        pass  # Docker has stopped
    finally:
        lines.put(None)


def _lines(
    client: containers.DockerClient,
    container: Container,
    since: float | None,
    tail: int | None,
    *,
    follow: bool = False,
) -> Iterator[LogLine]:
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
            yield LogLine(moment, container.service, text.rstrip())


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment[:26] + "+00:00").timestamp()
