"""A pool of encoder services that share one queue of requests.

A service gets requests once it has answered which model it has, and again after each failure. A
request that fails goes to another service. One that takes unusually long goes to a second service
too, and the first answer counts: the vectors are the same from either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.remote.client import (
    EncoderClient,
    InvalidRequestError,
    UnavailableError,
    silence,
)
from clipstack.encoders.remote.majority import majority_model
from clipstack.encoders.remote.service import Attempt, Call, Job, Service
from clipstack.errors import ClipstackError, UnreachableError
from clipstack.retry import InterruptError, RetryPolicy

_TICK = 0.05
_GRACE = 1.0
"""Seconds that services get to answer after the first, where it is open which model is right."""
_MIN_REPORT_AFTER = 1.0
_SILENT_AT_END = 0.25


class EncoderPool:
    """Services that do the same work.

    Args:
        clients: of the services, one or more.
        retry_policy: how long to go on when no service answers.
    """

    def __init__(self, clients: Sequence[EncoderClient], retry_policy: RetryPolicy) -> None:
        self._retry_policy = retry_policy
        self._services = [Service(client, retry_policy.events) for client in clients]
        self._name = self._services[0].name if len(clients) == 1 else "all encoders"
        self._outage = retry_policy.outage(self._name)
        self._model: ModelInfo | None = None
        self._jobs: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._since = self._answered_at = time.monotonic()
        for service in self._services:
            _start(partial(self._watch, service))

    def connect(self, fingerprint: str, first_patience: float) -> ModelInfo:
        """The model of the services; returns once a first one with that model has answered.

        Args:
            fingerprint: of the model that is wanted, "" for whichever they all have. If none has
                it, the model is another.
            first_patience: seconds to wait if nothing takes connections.

        Raises:
            UnreachableError: no service answers.
            ClipstackError: none is a service of clipstack's, or they have different models.
            InterruptError: Ctrl-C.
        """
        reported = False
        with self._changed:
            while (model := self._common_model(fingerprint)) is None:
                if self._retry_policy.stop.is_set():
                    raise InterruptError
                waited = time.monotonic() - self._since
                left = self._seconds_to_connect(first_patience) - waited
                if left <= 0:
                    raise self._first_error()
                if waited > _MIN_REPORT_AFTER:
                    reported = True
                    self._retry_policy.events.waiting(self._name, self._reason().message, left)
                self._changed.wait(_TICK)
            self._model = model
            for service in self._services:
                self._admit(service)
            self._changed.notify_all()
        if reported:
            self._retry_policy.events.resumed(self._name, time.monotonic() - self._since)
        return model

    @property
    def max_items(self) -> int:
        """The most items that every service takes in one request, as far as is known."""
        return min(service.served[1] for service in self._services if service.served)

    def close(self, *, report: bool = True, linger: float = 0.0) -> None:
        """Close the connections.

        Args:
            report: whether to report services that were left out and not reported yet.
            linger: seconds since the beginning that services have for their first answer.
        """
        with self._changed:
            until = self._since + linger
            while not all(service.is_asked for service in self._services):
                if time.monotonic() >= until:
                    break
                self._changed.wait(_TICK)
            if report:
                self._report(last=_SILENT_AT_END)
            self._closed = True
            self._changed.notify_all()
        for service in self._services:
            service.client.close()

    def run(self, calls: Sequence[Call], kind: str, size: int) -> list[Any]:
        """The results of `calls`, in their order.

        Args:
            kind: of their items; calls of a kind take about as long.
            size: the most items of one call.

        Raises:
            UnreachableError: no service answered for as long as the retry policy allows.
            ClipstackError: every service refused one of the calls.
            InterruptError: Ctrl-C.
        """
        jobs = [Job(call, kind, size) for call in calls]
        with self._changed:
            self._answered_at = time.monotonic()
            self._jobs.extend(jobs)
            try:
                while not all(job.done for job in jobs):
                    self._dispatch()
                    self._check(jobs)
                    self._changed.wait(_TICK)
                self._report()
            finally:
                for job in jobs:  # nobody waits for the results of the rest any more
                    job.done = True
                self._jobs = [job for job in self._jobs if not job.done]
        return [job.result for job in jobs]

    def _common_model(self, fingerprint: str) -> ModelInfo | None:
        """The model of the services that have answered; None while more of them must answer."""
        served = {s.client.url: s.served[0] for s in self._services if s.served}
        for model in served.values():
            if model.fingerprint == fingerprint:
                return model
        if not served:
            return None
        waited = time.monotonic() - self._since
        if fingerprint:
            missing = any(not (s.served or s.is_refused) for s in self._services)
            left = self._retry_policy.seconds - waited
        else:
            missing = any(not s.is_asked for s in self._services)
            left = self._answered_at + _GRACE - time.monotonic()
        return None if missing and left > 0 else majority_model(served)

    def _seconds_to_connect(self, first_patience: float) -> float:
        if all(service.is_refused for service in self._services):
            return 0.0
        if any(service.connected or not service.is_asked for service in self._services):
            return self._retry_policy.seconds
        return min(first_patience, self._retry_policy.seconds)

    def _reason(self) -> ClipstackError:
        """Why no service does the work."""
        reasons = [s.reason for s in self._services if not s.is_ready or s.attempts]
        reasons = reasons or [s.reason for s in self._services]
        if len(reasons) == 1:
            return reasons[0]
        text = "; ".join(reason.message for reason in reasons)
        return UnreachableError(f"no encoder can be used: {text}", hint=reasons[0].hint)

    def _first_error(self) -> ClipstackError:
        """Why none could be used at the beginning."""
        is_late = any(
            not (s.is_refused or (s.is_asked and not s.connected)) for s in self._services
        )
        return self._late_error() if is_late else self._reason()

    def _late_error(self) -> UnreachableError:
        reason = self._reason()
        return UnreachableError(
            f"no vectors within {self._retry_policy.seconds:g} s: {reason.message}",
            hint=self._retry_policy.hint or reason.hint,
        )

    def _admit(self, service: Service) -> None:
        """Use a service that has answered, if it has the pool's model."""
        if service.served is None:
            return
        if self._model is None:
            service.wait_for_choice()
            return
        model = service.served[0]
        if model.fingerprint == self._model.fingerprint:
            service.ready()
            return
        service.fail(
            ClipstackError(
                f"the service at {service.client.url} has the model {model.name} "
                f"({model.fingerprint[:12]}), not {self._model.name} "
                f"({self._model.fingerprint[:12]})",
                hint="Serve one model, or name only services alike in encoder_url.",
            ),
            refused=True,
        )

    def _watch(self, service: Service) -> None:
        """Ask a service for its model until it is ready, and for a sign of life if it is late."""
        while True:
            with self._changed:
                while not self._closed and not service.needs_check():
                    self._changed.wait(_TICK if self._jobs or not service.is_ready else 1.0)
                if self._closed:
                    return
                is_ready = service.is_ready
                service.probe_begins()
            if is_ready:
                self._probe(service)
            else:
                self._ask(service)

    def _ask(self, service: Service) -> None:
        served, error = None, None
        try:
            served = service.client.model()
        except Exception as raised:
            error = raised
        with self._changed:
            if self._closed:
                return
            if served is not None:
                first = not any(each.served for each in self._services)
                self._answered_at = time.monotonic() if first else self._answered_at
                service.served = served
                self._admit(service)
            elif isinstance(error, UnavailableError):
                service.fail(error.reason, error.retry_after, connected=error.connected)
            else:
                service.fail(_as_clipstack_error(error), refused=True)
            self._changed.notify_all()

    def _probe(self, service: Service) -> None:
        """Leave a service out that gives no sign of life, and send its requests elsewhere."""
        if service.client.is_alive():
            return
        with self._changed:
            if not service.attempts or self._closed:
                return
            service.fail(silence(service.client.url))
            for attempt in service.attempts:
                attempt.job.attempts.remove(attempt)
            service.attempts = []
            service.client.reconnect()
            self._changed.notify_all()

    def _dispatch(self) -> None:
        """Send requests to services: those that none has yet, then those that are late."""
        now = time.monotonic()
        jobs = [job for job in self._jobs if not (job.done or job.error)]
        for job in jobs:
            if not job.attempts:
                self._send(job)
        for job in jobs:
            if not job.attempts:
                continue
            ready = [service for service in self._services if service.takes(job)]
            late = min((service.late_seconds(job.kind) for service in ready), default=0.0)
            if now > job.attempts[-1].since + late and self._send(job):
                for attempt in job.attempts[:-1]:
                    if now > attempt.since + attempt.service.late_seconds(job.kind):
                        attempt.service.suspect()

    def _send(self, job: Job) -> bool:
        """Send a job to the best service that is free; returns whether there is one."""
        busy = {attempt.service for attempt in job.attempts}
        services = [service for service in self._services if service.takes(job)]
        others = any(not service.is_suspect for service in services)
        free = [s for s in services if s not in busy and s.is_free(others=others)]
        if not free:
            return False
        service = min(free, key=lambda service: service.expected_seconds(job.kind))
        attempt = Attempt(job, service, time.monotonic())
        service.attempts.append(attempt)
        job.attempts.append(attempt)
        _start(partial(self._work, attempt))
        return True

    def _work(self, attempt: Attempt) -> None:
        job, service = attempt.job, attempt.service
        result, error = None, None
        try:
            result = job.call(service.client)
        except Exception as raised:
            error = raised
        with self._changed:
            is_abandoned = attempt not in service.attempts
            if not is_abandoned:
                service.attempts.remove(attempt)
                job.attempts.remove(attempt)
            if error is None:
                service.succeed(attempt)
                self._answered_at = time.monotonic()
                self._outage.over()
                if not job.done:
                    job.result, job.done = result, True
            elif not is_abandoned and not self._closed:
                self._fail(service, job, error)
            self._changed.notify_all()

    def _fail(self, service: Service, job: Job, error: Exception) -> None:
        if isinstance(error, UnavailableError):
            service.fail(error.reason, error.retry_after)
        elif isinstance(error, ClipstackError) and not isinstance(error, InvalidRequestError):
            job.refused_by.add(service)
            service.fail(error)
            if len(job.refused_by) == len(self._services):
                job.error = error
        else:
            job.error = _as_clipstack_error(error)

    def _check(self, jobs: Sequence[Job]) -> None:
        """Report services that are left out; give up when all have been for too long."""
        if self._retry_policy.stop.is_set():
            raise InterruptError
        for job in jobs:
            if job.error:
                raise job.error
        limit = self._answered_at + self._retry_policy.seconds
        if self._retry_policy.is_deadline and time.monotonic() > limit:
            raise self._late_error()
        if not any(self._is_stuck(job) for job in jobs):
            self._report()
            return
        left = self._outage.began()
        if left <= 0 or min(service.retry_after for service in self._services) > left:
            raise self._outage.gave_up(self._reason())
        self._outage.report(self._reason())

    def _is_stuck(self, job: Job) -> bool:
        """Whether no service works on the job, and none can."""
        return not (job.done or job.attempts or any(s.takes(job) for s in self._services))

    def _report(self, *, last: float | None = None) -> None:
        """Report the services that are left out, if there are others."""
        if any(service.is_ready for service in self._services):
            for service in self._services:
                service.report(last=last)


def _start(work: Callable[[], None]) -> None:
    """Run in a thread that does not keep the process from ending, as it may hang in a request."""
    threading.Thread(target=work, daemon=True).start()


def _as_clipstack_error(error: Exception | None) -> ClipstackError:
    if isinstance(error, ClipstackError):
        return error
    return ClipstackError(f"unexpected: {type(error).__name__}: {error}")
