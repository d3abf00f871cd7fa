"""One encoder service of a pool: whether it can be used, and what it works on."""

from __future__ import annotations

import random
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.remote.client import MAX_REQUESTS, EncoderClient, silence
from clipstack.errors import ClipstackError
from clipstack.events import Events
from clipstack.retry import Backoff

_BACKOFF = Backoff()
_SILENT_SECONDS = 5.0
"""A service that works on one request for longer is probed."""
_REPORT_AFTER = 1.0
_SUSPECT_SECONDS = 30.0
"""After a failure, others are preferred for that long."""
_LATE_FACTOR = 3.0
_UNKNOWN_SECONDS = 0.15
_SAMPLES = 32

Call = Callable[[EncoderClient], Any]


@dataclass(eq=False, slots=True)
class Job:
    """One request, and its result or error.

    Attributes:
        kind: of the items, such as "texts"; requests of a kind take about as long.
        size: number of its items.
        done: it has a result, or nobody waits for one any more.
        attempts: that run now.
        refused_by: services that can't do it.
    """

    call: Call
    kind: str
    size: int
    result: Any = None
    error: ClipstackError | None = None
    done: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    refused_by: set[Service] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Attempt:
    """A job that was sent to a service."""

    job: Job
    service: Service
    since: float


class Service:
    """The state of one service of a pool, guarded by the pool's lock.

    Attributes:
        served: its model and the most items it takes in a request, once it has answered.
        is_ready: whether it may get requests.
        is_asked: whether it has answered, or failed to, at all.
        is_refused: whether its last answer was one that waiting does not change.
        connected: whether anything took a connection.
        error: why it is not ready, or None.
        retry_after: seconds that it asked to wait.
        attempts: requests that it works on.
    """

    def __init__(self, client: EncoderClient, events: Events) -> None:
        self.client = client
        self.served: tuple[ModelInfo, int] | None = None
        self.is_ready = self.is_asked = self.is_refused = self.connected = False
        self.error: ClipstackError | None = None
        self.retry_after = 0.0
        self.attempts: list[Attempt] = []
        self._events = events
        self._since = self._probed = self._ready_at = time.monotonic()
        self._check_at: float = 0.0
        self._failures = 0
        self._suspect_until = 0.0
        self._reported = self._was_reported = False
        self._latencies: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_SAMPLES))

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the encoder at {self.client.url}"

    @property
    def is_suspect(self) -> bool:
        """Whether it failed or was late a short time ago."""
        return time.monotonic() < self._suspect_until

    @property
    def reason(self) -> ClipstackError:
        """Why it does not answer."""
        return self.error or silence(self.client.url)

    def takes(self, job: Job) -> bool:
        """Whether the job may be sent to it, now or once it has worked off others."""
        fits = self.served is not None and job.size <= self.served[1]
        return self.is_ready and fits and self not in job.refused_by

    def latency(self, kind: str) -> float | None:
        """The usual seconds of its requests of that kind; None if it has done none."""
        latencies = sorted(self._latencies.get(kind, ()))
        return latencies[len(latencies) // 2] if latencies else None

    def late_seconds(self, kind: str) -> float:
        """The seconds after which a request of that kind takes unusually long."""
        latency = self.latency(kind)
        return max(0.1, _LATE_FACTOR * (_UNKNOWN_SECONDS if latency is None else latency))

    def expected_seconds(self, kind: str) -> tuple[bool, float, float]:
        """Sorts services by how soon one more request of that kind is likely done."""
        latency = (self.latency(kind) or 0.0) * (len(self.attempts) + 1)
        return self.is_suspect, latency or len(self.attempts) * _UNKNOWN_SECONDS, self._ready_at

    def is_free(self, *, others: bool) -> bool:
        """Whether it may get one more request.

        Args:
            others: whether there are services that are not suspect.
        """
        return len(self.attempts) < (1 if others and self.is_suspect else MAX_REQUESTS)

    def needs_check(self) -> bool:
        """Whether it is time to ask it for its model, or, if it is ready, for a sign of life."""
        now = time.monotonic()
        if not self.is_ready:
            return now >= self._check_at
        return self._oldest() < now - _SILENT_SECONDS and self._probed < now - _SILENT_SECONDS

    def probe_begins(self) -> None:
        """A sign of life is asked for."""
        self._probed = time.monotonic()

    def suspect(self) -> None:
        """It is late, or failed."""
        self._suspect_until = time.monotonic() + _SUSPECT_SECONDS

    def wait_for_choice(self) -> None:
        """It answered before the pool's model is known."""
        self.is_asked, self._check_at = True, float("inf")

    def ready(self) -> None:
        """It has the pool's model."""
        self.is_asked, self.is_ready, self.is_refused = True, True, False
        self._ready_at = time.monotonic()
        self._recover()

    def succeed(self, attempt: Attempt) -> None:
        """It has done a request."""
        self._failures = 0
        self._latencies[attempt.job.kind].append(time.monotonic() - attempt.since)
        if self.is_ready:
            self._recover()

    def fail(
        self,
        error: ClipstackError,
        retry_after: float = 0.0,
        *,
        refused: bool = False,
        connected: bool = True,
    ) -> None:
        """Leave it out for a while, longer each time, and for the seconds it asked for at least."""
        now = time.monotonic()
        if self.error and now < self._check_at:
            return  # one failure, met by several requests
        self._since = self._since if self.error else now
        self.error, self.retry_after, self.is_refused = error, retry_after, refused
        self.is_ready, self.is_asked = False, True
        self.connected = self.connected or connected
        # Spread out, so that many callers do not come back at the same moment.
        pause = _BACKOFF.pause(self._failures) * random.uniform(0.5, 1.0)
        self._check_at = now + max(retry_after, pause)
        self._failures += 1
        self.suspect()

    def report(self, *, last: float | None = None) -> None:
        """Report that it is left out while others go on: the first time at once, later if it lasts.

        Args:
            last: seconds after which it counts as silent, at the end of all work.
        """
        now = time.monotonic()
        since = self._since if self.error or not self.is_asked else self._oldest()
        limit = _SILENT_SECONDS if last is None else last
        if self.error:
            limit = _REPORT_AFTER if self._was_reported else 0.0
        if (self.error or self.attempts or not self.is_asked) and now >= since + limit:
            self._since, self._reported, self._was_reported = since, True, True
            self._events.waiting(self.name, self.reason.message, None)

    def _oldest(self) -> float:
        return min((attempt.since for attempt in self.attempts), default=time.monotonic())

    def _recover(self) -> None:
        if self._reported:
            self._events.resumed(self.name, time.monotonic() - self._since)
        self.error, self.retry_after, self._reported = None, 0.0, False
