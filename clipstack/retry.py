"""Waiting for a service that is unavailable: backoff, deadline, interruption."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.events import SILENT, Events

_REPORT_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts, each longer than the one before.

    Attributes:
        first, longest: seconds; factor: between one pause and the next.
    """

    first: float = 0.25
    longest: float = 5.0
    factor: float = 2.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, counted from 0."""
        return min(self.longest, self.first * self.factor ** min(attempt, 100))


class InterruptError(ClipstackError):
    """A signal ended a wait or a child; see `clipstack.interrupts`."""

    code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted")


class RetryPolicy:
    """How long a command waits for an unavailable service, and what ends the wait early.

    Args:
        seconds: the longest wait, for each outage.
        events: reports every outage that lasts.
        hint: what to do when the service does not come back; replaces the error's own hint.
        is_deadline: whether `seconds` also bound the wait for a slow answer.

    Attributes:
        stop: set by Ctrl-C; ends every wait with InterruptError.
    """

    def __init__(
        self,
        seconds: float,
        events: Events = SILENT,
        *,
        hint: str = "",
        is_deadline: bool = False,
    ) -> None:
        self.seconds = seconds
        self.events = events
        self.hint = hint
        self.is_deadline = is_deadline
        self.stop = threading.Event()

    def outage(self, service: str) -> Outage:
        """The timer for outages of `service`, a name such as "Milvus"."""
        return Outage(self, service)


class Outage:
    """One service's outage, from the first failure to the next success, shared by all threads
    that call the service."""

    def __init__(self, policy: RetryPolicy, service: str) -> None:
        self._policy = policy
        self._service = service
        self._backoff = Backoff()
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reported = False

    @property
    def is_ongoing(self) -> bool:
        """Whether the service is unavailable."""
        return self._since is not None

    @property
    def seconds_left(self) -> float:
        """The seconds that are left of the wait; all of them while the service answers."""
        since = self._since
        return self._policy.seconds - (time.monotonic() - since if since is not None else 0.0)

    def began(self, since: float | None = None) -> float:
        """Record that the service failed; returns the seconds that are left of the wait.

        Args:
            since: when it last may have answered, by `time.monotonic`; None for now.
        """
        with self._lock:
            if self._since is None:
                self._since = time.monotonic() if since is None else since
            return self._since + self._policy.seconds - time.monotonic()

    def over(self) -> None:
        """Record that the service answered."""
        if self._since is None:
            return
        with self._lock:
            since, reported = self._since, self._reported
            self._since, self._reported = None, False
        if reported and since is not None:
            self._policy.events.resumed(self._service, time.monotonic() - since)

    def wait(self, error: ClipstackError, attempt: int, retry_after: float = 0.0) -> None:
        """Wait before the next attempt.

        Args:
            error: how the last attempt failed.
            attempt: the number of that attempt, counted from 0.
            retry_after: seconds that the service asked to wait, at least.

        Raises:
            UnreachableError: the service was unavailable for too long.
            InterruptError: Ctrl-C.
        """
        left = self.began()
        if retry_after > left or left <= 0:
            raise self.gave_up(error)
        pause = max(retry_after, self._backoff.pause(attempt))
        until = time.monotonic() + min(pause, left)
        while (rest := until - time.monotonic()) > 0:
            self.report(error)
            if self._policy.stop.wait(min(rest, 1.0)):
                raise InterruptError

    def report(self, error: ClipstackError) -> None:
        """Report the outage, unless it has been too short to mention."""
        left = self.began()
        if self._policy.seconds - left >= _REPORT_AFTER:
            self._reported = True
            self._policy.events.waiting(self._service, error.message, max(0.0, left))

    def gave_up(self, error: ClipstackError) -> ClipstackError:
        """The error that ends the command: `error`, and how long the wait was."""
        waited = self._policy.seconds - self.began()
        if waited < _REPORT_AFTER:
            return error
        return UnreachableError(
            f"{self._service}: away for {waited:.0f} s: {error.message}",
            hint=self._policy.hint or error.hint,
        )
