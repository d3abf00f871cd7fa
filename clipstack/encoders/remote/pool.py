"""Requests in; the answers of whichever services are free out.

Each service has a few threads that take the next request when they are done with one. A service
that fails is left out for a while, and what it had goes back in front of the queue. One that is
slow loses its request to another one that has nothing to do, and is asked whether it is there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from clipstack.encoders.remote.client import AT_ONCE, AwayError, EncoderClient, RefusedError
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.retry import InterruptError, RetryPolicy

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
_SLOW_SECONDS = 15.0
_SPEAK_AFTER = 2.0

Call = Callable[[EncoderClient], Any]


class EncoderPool:
    """Services that do the same work.

    Args:
        services: one or more.
        patience: how long to go on when none of them answers.
    """

    def __init__(self, services: Sequence[EncoderClient], patience: RetryPolicy) -> None:
        self._patience = patience
        self._lanes = [_Lane(service, patience) for service in services]
        name = f"the encoder at {services[0].url}" if len(services) == 1 else "all encoders"
        self._outage = patience.outage(name)
        self._queue: deque[_Job] = deque()
        self._taken: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False
        # Daemons: one that hangs in a request must not keep the process from ending.
        for lane in self._lanes:
            for _ in range(AT_ONCE):
                threading.Thread(target=self._work, args=(lane,), daemon=True).start()

    def close(self) -> None:
        """End the threads, and the connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes:
            lane.service.close()

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """The answers to `calls`, in their order.

        Raises:
            UnreachableError: no service answered for as long as `patience` lasts.
            ClipstackError: every service refused one of them.
            Interrupted: Ctrl-C.
        """
        jobs = [_Job(call) for call in calls]
        with self._changed:
            self._queue.extend(jobs)
            self._changed.notify_all()
            try:
                while not all(job.done for job in jobs):
                    self._changed.wait(0.2)
                    if self._patience.stop.is_set():
                        raise InterruptError
                    self._look()
                    for job in jobs:
                        if job.error:
                            raise job.error
            finally:
                for job in jobs:  # what is not done is not wanted any more
                    job.done = True
                self._queue = deque(job for job in self._queue if not job.done)
                self._taken = [job for job in self._taken if not job.done]
        return [job.answer for job in jobs]

    def _look(self) -> None:
        """Say who is away; give up when all have been for too long."""
        for lane in self._lanes:
            self._probe(lane)
        problem = self._problem()
        if problem is None:
            for lane in self._lanes:
                lane.tell()
            return
        left = self._outage.began()
        if left <= 0 or min(lane.asked for lane in self._lanes) > left:
            raise self._outage.gave_up(problem)
        self._outage.tell(problem)

    def _probe(self, lane: _Lane) -> None:
        """Ask a service that has been at one request for long whether it is there."""
        now = time.monotonic()
        oldest = min((job.since for job in self._taken if job.lane is lane), default=now)
        if now > max(oldest, lane.probed) + _SLOW_SECONDS:
            lane.probed = now
            threading.Thread(target=self._ask, args=(lane,), daemon=True).start()

    def _ask(self, lane: _Lane) -> None:
        if lane.service.answers():
            return
        with self._changed:
            if lane.running:
                url = lane.service.url
                lane.fails(UnreachableError(f"the service at {url} gives no answer"))

    def _problem(self) -> ClipstackError | None:
        """Why no service is there, or None when one is."""
        problems = [lane.problem for lane in self._lanes if lane.problem]
        return problems[-1] if len(problems) == len(self._lanes) else None

    def _work(self, lane: _Lane) -> None:
        while (job := self._next(lane)) is not None:
            answer, error = None, None
            try:
                answer = job.call(lane.service)
            except Exception as problem:
                error = problem
            with self._changed:
                lane.running -= 1
                if job in self._taken:
                    self._taken.remove(job)
                if error is None:
                    self._succeeded(lane, job, answer)
                else:
                    self._failed(lane, job, error)
                self._changed.notify_all()

    def _next(self, lane: _Lane) -> _Job | None:
        with self._changed:
            while not self._closed:
                job = self._find(lane) if lane.is_free() else None
                if job is not None:
                    lane.running += 1
                    job.lane, job.since = lane, time.monotonic()
                    self._taken.append(job)
                    return job
                self._changed.wait(0.5 if lane.problem is None else 0.1)
        return None

    def _find(self, lane: _Lane) -> _Job | None:
        for job in self._queue:
            if lane not in job.refused:
                self._queue.remove(job)
                return job
        for job in self._taken:
            late = time.monotonic() > job.since + _SLOW_SECONDS
            if late and not job.doubled and job.lane is not lane and not job.done:
                job.doubled = True
                return job
        return None

    def _succeeded(self, lane: _Lane, job: _Job, answer: Any) -> None:
        lane.came_back()
        self._outage.over()
        if not job.done:
            job.answer, job.done = answer, True

    def _failed(self, lane: _Lane, job: _Job, error: Exception) -> None:
        if self._closed:
            return
        if isinstance(error, AwayError):
            lane.fails(error.problem, error.asked)
        elif isinstance(error, ClipstackError) and not isinstance(error, RefusedError):
            job.refused.append(lane)
            if len(job.refused) == len(self._lanes):
                job.error = error
            else:
                lane.fails(error)
        else:
            job.error = error if isinstance(error, ClipstackError) else _unexpected(error)
        if self._problem() is not None:
            self._outage.began()
        if not (job.done or job.error or job in self._taken):
            job.doubled = False
            self._queue.appendleft(job)


class _Lane:
    """One service of a fleet, and how it does. All of it is guarded by the fleet's lock."""

    def __init__(self, service: EncoderClient, patience: RetryPolicy) -> None:
        self.service = service
        self.problem: ClipstackError | None = None
        self.asked = 0.0
        self.running = 0
        self.probed = 0.0
        self._patience = patience
        self._again = 0.0
        self._since = 0.0
        self._told = False
        self._pause = _FIRST_PAUSE

    def is_free(self) -> bool:
        """Whether it may be asked. One that failed gets one request at first, not four."""
        return not self.problem or (time.monotonic() >= self._again and self.running == 0)

    def fails(self, problem: ClipstackError, asked: float = 0.0) -> None:
        """It is left out for a while, longer each time; `asked` is its own wish, in seconds."""
        now = time.monotonic()
        if self.problem and now < self._again:
            return  # one failure, met by several requests
        self._since = self._since if self.problem else now
        self.problem, self.asked = problem, asked
        # Spread out, so that many callers do not come back at the same moment.
        self._again = now + max(asked, self._pause * random.uniform(0.5, 1.0))
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def tell(self) -> None:
        """Say that it is away while others go on."""
        if self.problem and time.monotonic() > self._since + _SPEAK_AFTER:
            self._told = True
            self._patience.waiting(self._name, self.problem.message, None)

    def came_back(self) -> None:
        if self._told:
            self._patience.resumed(self._name, time.monotonic() - self._since)
        self.problem, self.asked, self._pause, self._told = None, 0.0, _FIRST_PAUSE, False

    @property
    def _name(self) -> str:
        return f"the encoder at {self.service.url}"


class _Job:
    """One request: whose turn it is, and what came of it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.answer: Any = None
        self.error: ClipstackError | None = None
        self.done = False
        self.doubled = False
        self.since = 0.0
        self.lane: _Lane | None = None
        self.refused: list[_Lane] = []


def _unexpected(error: Exception) -> ClipstackError:
    return ClipstackError(f"unexpected: {type(error).__name__}: {error}")
