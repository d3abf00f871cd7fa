"""SIGINT, SIGTERM and SIGHUP: they end a command, and the processes that it has started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from clipstack.errors import ExitCode

# Windows has no SIGHUP.
_SIGNALS = [number for number in signal.Signals if number.name in {"SIGINT", "SIGTERM", "SIGHUP"}]
# `timeout` signals a process and then its group, a shell that ends repeats the terminal's SIGHUP,
# and systemd sends SIGHUP after SIGTERM: these are one wish, a second Ctrl-C comes later.
_REPEAT_SECONDS = 1.0


@dataclass
class _Interrupts:
    """What has been received, and whom to tell.

    Attributes:
        number: the first signal, or 0.
        since: when it was acted on, by `time.monotonic`, or 0.
        event: set in place of KeyboardInterrupt.
        groups: process groups of children, and the signal that ends each.
    """

    number: int = 0
    since: float = 0.0
    event: threading.Event | None = None
    groups: dict[int, int] = field(default_factory=dict)


_interrupts = _Interrupts()


def install() -> None:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, and a second signal end the process at once.

    A signal that the caller ignores, as `nohup` does, stays ignored.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
        elif number == signal.SIGINT:  # as of every `command &` of a script
            signal.signal(number, _ignore)  # children would inherit SIG_IGN, but not this


def received() -> bool:
    """Whether a signal has asked this process to end."""
    return bool(_interrupts.number)


def exit_code(code: int) -> int:
    """`code`, or 128 and the number of the signal if `code` is that of an interruption."""
    if code == ExitCode.INTERRUPTED and _interrupts.number:
        return ExitCode(128 + _interrupts.number)
    return code


@contextlib.contextmanager
def deferred(event: threading.Event) -> Iterator[None]:
    """A signal sets `event`, and raises no KeyboardInterrupt.

    An exception inside a gRPC call would leave its locks taken, and a writing thread would wait
    for them forever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer = _interrupts.event
    _interrupts.event = event
    try:
        yield
    finally:
        _interrupts.event = outer


@contextlib.contextmanager
def starting_child() -> Iterator[None]:
    """A signal waits for the end of this block, in which a child is started and added."""
    event = threading.Event()
    with contextlib.nullcontext() if _interrupts.event else deferred(event):
        yield
    if received():
        _signal_groups()
    if event.is_set():
        raise KeyboardInterrupt


def add_group(group: int, number: int = signal.SIGINT) -> None:
    """End this process group with the signal `number` when this process is interrupted."""
    _interrupts.groups[group] = number


def remove_group(group: int) -> None:
    """Forget a process group that has ended."""
    _interrupts.groups.pop(group, None)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupts.number = _interrupts.number or number
    if number != signal.SIGINT and number != signal.SIGTERM:
        _detach_from_terminal()
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler) and handler not in (_interrupt, _ignore):  # a server's own
        handler(signal.SIGINT, frame)
        return
    now = time.monotonic()
    if not _interrupts.since:
        _interrupts.since = now
    elif now - _interrupts.since < _REPEAT_SECONDS:
        return
    else:
        _signal_groups(signal.SIGKILL)
        os._exit(128 + number)
    _signal_groups()
    if _interrupts.event:
        _interrupts.event.set()
        return
    raise KeyboardInterrupt


def _signal_groups(number: int = 0) -> None:
    for group, own in list(_interrupts.groups.items()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number or own)


def _detach_from_terminal() -> None:
    """Replace a terminal that is gone by /dev/null: writing to it would fail."""
    for descriptor in range(3):
        try:
            os.tcgetpgrp(descriptor)
        except OSError as error:
            if error.errno == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
