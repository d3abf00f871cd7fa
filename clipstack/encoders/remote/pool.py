"""A pool of encoder services that share one queue of requests.

Each service has a few threads, each of which takes the next request when it is done with one. A
service that fails is skipped for a while, and its requests go back to the front of the queue. A
request that a slow service holds is sent to an idle service as well, and the slow one is probed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from clipstack.encoders.remote.client import (
    MAX_REQUESTS,
    EncoderClient,
    InvalidRequestError,
    UnavailableError,
)
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.events import Events
from clipstack.retry import Backoff, InterruptError, RetryPolicy

_BACKOFF = Backoff(longest=8.0)
_SLOW_SECONDS = 15.0
_REPORT_AFTER = 2.0

Call = Callable[[EncoderClient], Any]


class EncoderPool:
    """Services that do the same work.

    Args:
        clients: of the services, one or more.
        retry_policy: how long to go on when no service answers.
    """

    def __init__(self, clients: Sequence[EncoderClient], retry_policy: RetryPolicy) -> None:
        self._retry_policy = retry_policy
        self._services = [_Service(client, retry_policy.events) for client in clients]
        name = self._services[0].name if len(clients) == 1 else "all encoders"
        self._outage = retry_policy.outage(name)
        self._queue: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False
        # Daemons: one that hangs in a request must not keep the process from ending.
        for service in self._services:
            for _ in range(MAX_REQUESTS):
                threading.Thread(target=self._work, args=(service,), daemon=True).start()

    def close(self) -> None:
        """End the threads, and close the connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for service in self._services:
            service.client.close()

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """The results of `calls`, in their order.

        Raises:
            UnreachableError: no service answered for as long as the retry policy allows.
            ClipstackError: every service refused one of the calls.
            InterruptError: Ctrl-C.
        """
        jobs = [_Job(call) for call in calls]
        with self._changed:
            self._queue.extend(jobs)
            self._changed.notify_all()
            try:
                while not all(job.done for job in jobs):
                    self._changed.wait(0.2)
                    if self._retry_policy.stop.is_set():
                        raise InterruptError
                    self._check_services()
                    for job in jobs:
                        if job.error:
                            raise job.error
            finally:
                for job in jobs:  # nobody waits for the results of the rest any more
                    job.done = True
                self._queue = deque(job for job in self._queue if not job.done)
                self._running = [job for job in self._running if not job.done]
        return [job.result for job in jobs]

    def _check_services(self) -> None:
        """Report services that are unavailable; give up when all have been for too long."""
        for service in self._services:
            self._probe_if_slow(service)
        error = self._common_error()
        if error is None:
            for service in self._services:
                service.report()
            return
        left = self._outage.began()
        if left <= 0 or min(service.retry_after for service in self._services) > left:
            raise self._outage.gave_up(error)
        self._outage.report(error)

    def _probe_if_slow(self, service: _Service) -> None:
        """Probe a service, in a thread, that has worked on one request for long."""
        now = time.monotonic()
        oldest = min((job.since for job in self._running if job.service is service), default=now)
        if now > max(oldest, service.probed) + _SLOW_SECONDS:
            service.probed = now
            threading.Thread(target=self._probe, args=(service,), daemon=True).start()

    def _probe(self, service: _Service) -> None:
        if service.client.is_alive():
            return
        with self._changed:
            if service.running:
                url = service.client.url
                service.fail(UnreachableError(f"the service at {url} gives no answer"))

    def _common_error(self) -> ClipstackError | None:
        """Why no service is available, or None when one is."""
        errors = [service.error for service in self._services if service.error]
        return errors[-1] if len(errors) == len(self._services) else None

    def _work(self, service: _Service) -> None:
        while (job := self._next_job(service)) is not None:
            result, error = None, None
            try:
                result = job.call(service.client)
            except Exception as raised:
                error = raised
            with self._changed:
                service.running -= 1
                if job in self._running:
                    self._running.remove(job)
                if error is None:
                    self._succeed(service, job, result)
                else:
                    self._fail(service, job, error)
                self._changed.notify_all()

    def _next_job(self, service: _Service) -> _Job | None:
        """Wait for a job for the service; None when the pool is closed."""
        with self._changed:
            while not self._closed:
                job = self._find_job(service) if service.is_free() else None
                if job is not None:
                    service.running += 1
                    job.service, job.since = service, time.monotonic()
                    self._running.append(job)
                    return job
                self._changed.wait(0.5 if service.error is None else 0.1)
        return None

    def _find_job(self, service: _Service) -> _Job | None:
        for job in self._queue:
            if service not in job.refused_by:
                self._queue.remove(job)
                return job
        for job in self._running:
            is_late = time.monotonic() > job.since + _SLOW_SECONDS
            if is_late and not job.duplicated and job.service is not service and not job.done:
                job.duplicated = True
                return job
        return None

    def _succeed(self, service: _Service, job: _Job, result: Any) -> None:
        service.recover()
        self._outage.over()
        if not job.done:
            job.result, job.done = result, True

    def _fail(self, service: _Service, job: _Job, error: Exception) -> None:
        if self._closed:
            return
        if isinstance(error, UnavailableError):
            service.fail(error.reason, error.retry_after)
        elif isinstance(error, ClipstackError) and not isinstance(error, InvalidRequestError):
            job.refused_by.append(service)
            if len(job.refused_by) == len(self._services):
                job.error = error
            else:
                service.fail(error)
        else:
            job.error = error if isinstance(error, ClipstackError) else _unexpected(error)
        if self._common_error() is not None:
            self._outage.began()
        if not (job.done or job.error or job in self._running):
            job.duplicated = False
            self._queue.appendleft(job)


class _Service:
    """The state of one service of a pool, guarded by the pool's lock.

    Attributes:
        error: why it is unavailable, or None.
        retry_after: seconds that it asked to wait.
        running: requests that it works on.
        probed: time of the last probe.
    """

    def __init__(self, client: EncoderClient, events: Events) -> None:
        self.client = client
        self.error: ClipstackError | None = None
        self.retry_after = 0.0
        self.running = 0
        self.probed = 0.0
        self._events = events
        self._failures = 0
        self._retry_at = 0.0
        self._since = 0.0
        self._reported = False

    def is_free(self) -> bool:
        """Whether it may get a request. After a failure it gets one at first, not several."""
        return not self.error or (time.monotonic() >= self._retry_at and self.running == 0)

    def fail(self, error: ClipstackError, retry_after: float = 0.0) -> None:
        """Skip it for a while, longer each time, and for the seconds it asked for at least."""
        now = time.monotonic()
        if self.error and now < self._retry_at:
            return  # one failure, met by several requests
        self._since = self._since if self.error else now
        self.error, self.retry_after = error, retry_after
        # Spread out, so that many callers do not come back at the same moment.
        pause = _BACKOFF.pause(self._failures) * random.uniform(0.5, 1.0)
        self._retry_at = now + max(retry_after, pause)
        self._failures += 1

    def report(self) -> None:
        """Report that it is unavailable while others go on."""
        if self.error and time.monotonic() > self._since + _REPORT_AFTER:
            self._reported = True
            self._events.waiting(self.name, self.error.message, None)

    def recover(self) -> None:
        """It answered."""
        if self._reported:
            self._events.resumed(self.name, time.monotonic() - self._since)
        self.error, self.retry_after, self._failures, self._reported = None, 0.0, 0, False

    @property
    def name(self) -> str:
        return f"the encoder at {self.client.url}"


class _Job:
    """One request, and its result or error.

    Attributes:
        done: it has a result, or nobody waits for one any more.
        duplicated: a second service works on it too.
        service, since: the service that got it last, and when.
        refused_by: services that can't do it.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.result: Any = None
        self.error: ClipstackError | None = None
        self.done = False
        self.duplicated = False
        self.since = 0.0
        self.service: _Service | None = None
        self.refused_by: list[_Service] = []


def _unexpected(error: Exception) -> ClipstackError:
    return ClipstackError(f"unexpected: {type(error).__name__}: {error}")
