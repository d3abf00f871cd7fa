"""Pieces of work and a bound of time in; the results of those that ended by then, out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

_GRACE = 0.15


def run(
    work: Mapping[str, Callable[[], Any]],
    seconds: float,
    enough: Callable[[Mapping[str, Any]], bool] = lambda _: False,
) -> dict[str, Any]:
    """Do all of `work` at the same time, each in a thread that is left behind when time is up.

    The threads are daemons: one that hangs in foreign code does not keep the process alive.

    Args:
        work: what to do by name; an exception of one is raised here.
        seconds: to wait for all.
        enough: told the results so far; whether to stop waiting for the others now.
    """
    done: queue.SimpleQueue[tuple[str, Any, BaseException | None]] = queue.SimpleQueue()

    def one(name: str, task: Callable[[], Any]) -> None:
        try:
            done.put((name, task(), None))
        except BaseException as error:  # handed to the caller's thread
            done.put((name, None, error))

    for name, task in work.items():
        threading.Thread(target=one, args=(name, task), daemon=True, name=name).start()
    results: dict[str, Any] = {}
    until = time.monotonic() + seconds + _GRACE
    while len(results) < len(work) and not enough(results):
        try:
            name, value, error = done.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if error:
            raise error
        results[name] = value
    return results
