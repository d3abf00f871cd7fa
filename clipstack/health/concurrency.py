"""Tasks that run side by side within a time limit."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

_GRACE = 0.15


def run(
    tasks: Mapping[str, Callable[[], Any]],
    seconds: float,
    is_enough: Callable[[Mapping[str, Any]], bool] = lambda _: False,
) -> dict[str, Any]:
    """Run tasks at the same time, each in a thread that is abandoned when the time is up.

    The threads are daemons, so that one that hangs does not keep the process alive.

    Args:
        tasks: by name; an exception of one is raised here.
        seconds: to wait for all of them.
        is_enough: whether, given the results so far, not to wait for the others.

    Returns:
        The results of the tasks that ended in time, by name.
    """
    done: queue.SimpleQueue[tuple[str, Any, BaseException | None]] = queue.SimpleQueue()

    def run_task(name: str, task: Callable[[], Any]) -> None:
        try:
            done.put((name, task(), None))
        except BaseException as error:  # handed to the caller's thread
            done.put((name, None, error))

    for name, task in tasks.items():
        threading.Thread(target=run_task, args=(name, task), daemon=True, name=name).start()
    results: dict[str, Any] = {}
    until = time.monotonic() + seconds + _GRACE
    while len(results) < len(tasks) and not is_enough(results):
        try:
            name, value, error = done.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if error:
            raise error
        results[name] = value
    return results
