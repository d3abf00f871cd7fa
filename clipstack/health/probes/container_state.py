"""The state of a container in; why its service does not answer, and what to type, out."""

from __future__ import annotations

from clipstack.stack.containers import Container

_LOGS = "`clipstack logs {}` says why."


def explain(service: str, container: Container | None) -> tuple[str, str]:
    """The reason and the hint for a service that does not answer.

    Args:
        container: None if the service has none.

    Returns:
        Two empty texts if nothing is wrong with the container.
    """
    if container is None:
        return "not created", "`clipstack up`"
    logs = _LOGS.format(service)
    memory = f"Raise CLIPSTACK_{service.upper()}_MEMORY, then `clipstack up`."
    ended = f"exit {container.exit_code}"
    if container.state == "paused":
        return "paused", f"`docker unpause {container.name}`"
    if container.state == "restarting":
        reason = f"restarting, {times(container.restarts)} so far, last {ended}"
        return (f"out of memory: {reason}", memory) if container.oom_killed else (reason, logs)
    if container.state in ("exited", "dead"):
        if container.oom_killed:
            return f"stopped: out of memory ({ended})", memory
        failed = container.exit_code not in (0, 130, 137, 143)
        hint = f"`clipstack start {service}`"
        return f"stopped ({ended})", f"{hint}; {logs}" if failed else hint
    if container.state == "created":
        return "created, but not started", f"`clipstack start {service}`"
    if container.state == "running" and container.health == "starting":
        again = f", restarted {times(container.restarts)}" if container.restarts else ""
        return f"starting{again}", f"`clipstack health {service} --wait`"
    if container.state == "running" and container.restarts:
        return f"restarted {times(container.restarts)}", logs
    return ("", "") if container.state == "running" else (container.state, logs)


def times(count: int) -> str:
    """A number of times, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
