"""A service that went away in; the time it has to come back in, and who is told, out."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from clipstack.errors import ClipstackError, ExitCode, UnreachableError

_SPEAK_AFTER = 1.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0


class Waiting(Protocol):
    """Who wants to know that something waits for a service; called from any thread."""

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        """`service` is away; said again and again, with the seconds it has left to come back.

        None for `left`: work goes on without it.
        """
        ...

    def resumed(self, service: str, seconds: float) -> None:
        """`service` is back, after that long."""
        ...


class InterruptError(ClipstackError):
    """Ctrl-C ended a wait."""

    code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted")


@contextlib.contextmanager
def deferred_sigint(interrupt: threading.Event) -> Iterator[None]:
    """Ctrl-C sets `interrupt`; a second Ctrl-C ends the process at once.

    An exception in the midst of a call would leave locks of gRPC taken, and a thread that writes
    would wait for them for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_number: int, _frame: object) -> None:
        interrupt.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class RetryPolicy:
    """How long a command waits for a service that went away, and what ends it before.

    Args:
        seconds: for each time that one is away.
        events: who is told.
        hint: what to do when it did not come back, in place of the error's own.

    Attributes:
        stop: set by Ctrl-C; ends every wait with Interrupted.
    """

    def __init__(self, seconds: float, events: Waiting | None = None, *, hint: str = "") -> None:
        self.seconds = seconds
        self.hint = hint
        self.stop = threading.Event()
        self._events = events

    def outage(self, service: str) -> Outage:
        """Keeps the time for `service`, a name such as "Milvus"."""
        return Outage(self, service)

    def waiting(self, service: str, reason: str, left: float | None) -> None:
        """Tell who wants to know."""
        if self._events:
            self._events.waiting(service, reason, left)

    def resumed(self, service: str, seconds: float) -> None:
        """Tell who wants to know."""
        if self._events:
            self._events.resumed(service, seconds)


class Outage:
    """One service's absence, as all threads that talk to it see it: from the first failure to the
    next success."""

    def __init__(self, patience: RetryPolicy, service: str) -> None:
        self._patience = patience
        self._service = service
        self._lock = threading.Lock()
        self._since: float | None = None
        self._spoke = False

    @property
    def lasts(self) -> bool:
        """Whether the service is away."""
        return self._since is not None

    def began(self) -> float:
        """Remember that the service failed; returns the seconds that it has left."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
            return self._since + self._patience.seconds - time.monotonic()

    def over(self) -> None:
        """The service answered."""
        if self._since is None:
            return
        with self._lock:
            since, spoke = self._since, self._spoke
            self._since, self._spoke = None, False
        if spoke and since is not None:
            self._patience.resumed(self._service, time.monotonic() - since)

    def wait(self, problem: ClipstackError, attempt: int, asked: float = 0.0) -> None:
        """Wait before the next attempt; `attempt` counts from 0, `asked` is the service's wish.

        Raises:
            UnreachableError: it was away for too long.
            Interrupted: Ctrl-C.
        """
        left = self.began()
        pause = max(asked, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))
        if asked > left or left <= 0:
            raise self.gave_up(problem)
        until = time.monotonic() + min(pause, left)
        while (rest := until - time.monotonic()) > 0:
            self.tell(problem)
            if self._patience.stop.wait(min(rest, 1.0)):
                raise InterruptError

    def tell(self, problem: ClipstackError) -> None:
        """Say that the service is away, unless that is too short to be worth a word."""
        left = self.began()
        if self._patience.seconds - left >= _SPEAK_AFTER:
            self._spoke = True
            self._patience.waiting(self._service, problem.message, max(0.0, left))

    def gave_up(self, problem: ClipstackError) -> ClipstackError:
        """The error that ends the command: `problem`, and for how long it was waited for."""
        waited = self._patience.seconds - self.began()
        if waited < _SPEAK_AFTER:
            return problem
        return UnreachableError(
            f"{self._service}: away for {waited:.0f} s: {problem.message}",
            hint=self._patience.hint or problem.hint,
        )
