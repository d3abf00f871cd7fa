"""A stack that was started, planned or looked at in, views of it out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from clipstack.output.out import Mode, Out, View
from clipstack.output.stack_progress import styled
from clipstack.output.tables import new_table
from clipstack.stack.check import Check, Level
from clipstack.stack.lifecycle import Started
from clipstack.stack.plan import Plan
from clipstack.stack.status import ServiceStatus, StackStatus
from clipstack.stack.teardown import Removed
from clipstack.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

_PAUSE = 1.0


def started(made: Started) -> View:
    """The addresses of a stack that was started."""

    def human() -> RenderableType:
        shown = new_table("service", "address", "state", "s", right=("s",))
        for one in made.progress:
            url = made.addresses.get(one.service.name, "")
            state = one.health or one.state
            shown.add_row(one.service.title, url, styled(state), f"{one.seconds:.0f}")
        return shown

    urls = [made.addresses.get(one.service.name, "") for one in made.progress]
    return View(
        json=_started(made),
        lines=[
            f"{one.service.name}\t{url}\t{one.health or one.state}"
            for one, url in zip(made.progress, urls, strict=True)
        ],
        quiet=urls,
        human=human,
    )


def _started(made: Started) -> dict[str, Any]:
    return {
        "project": made.project,
        "changed": made.changed,
        "seconds": round(made.seconds, 1),
        "services": [
            {
                "name": one.service.name,
                "url": made.addresses.get(one.service.name, ""),
                "image": one.container.image if one.container else "",
                "state": one.state,
                "health": one.health,
                "seconds": round(one.seconds, 1),
                "waited_for": {
                    name: round(spent, 1) for name, spent in one.waited.items() if spent > 0.05
                },
            }
            for one in made.progress
        ],
        "encode": asdict(made.encoded) if made.encoded else None,
        "search": asdict(made.searched) if made.searched else None,
    }


def plan(one: Plan) -> View:
    """What `up` would start."""
    services: list[dict[str, Any]] = [
        {
            "name": service.name,
            "image": image,
            "action": one.actions[service.name],
            "ports": {port.variable: one.values[port.variable] for port in service.ports},
        }
        for service in one.services
        for image in [one.values[service.image]]
    ]
    lines = [
        "\t".join([s["name"], s["action"], s["image"], ",".join(s["ports"].values())])
        for s in services
    ]

    def human() -> RenderableType:
        from rich.console import Group

        shown = new_table("service", "would be", "image", "ports")
        for service in services:
            ports = ", ".join(service["ports"].values())
            shown.add_row(service["name"], service["action"], service["image"], ports)
        more = new_table("variable", "value")
        for name, value in one.changed.items():
            more.add_row(name, value)
        return Group(shown, more) if one.changed else shown

    return View(
        json={
            "project": one.project,
            "dry_run": True,
            "services": services,
            "variables": one.changed,
            "files": [str(file) for file in one.files],
            "checks": [_check(check) for check in one.checks if check.level is not Level.OK],
        },
        lines=[*lines, *(f"{name}={value}" for name, value in one.changed.items())],
        quiet=[service["name"] for service in services],
        human=human,
    )


def _check(check: Check) -> dict[str, str]:
    return {"name": check.name, "level": check.level, "message": check.message, "fix": check.fix}


def removed(project: str, what: Removed) -> View:
    """What `down` removed."""
    services = [f"{name}\tremoved" for name in what.services]
    volumes = [f"{name}\tdeleted" for name in what.volumes]
    return View(
        json={"project": project, "services": what.services, "volumes": what.volumes},
        lines=[*services, *volumes],
        quiet=[*what.services, *what.volumes],
    )


def stopped(project: str, names: Sequence[str]) -> View:
    """The services that `stop` stopped."""
    return View(
        json={"project": project, "services": list(names)},
        lines=[f"{name}\tstopped" for name in names],
        quiet=list(names),
    )


def status(one: StackStatus) -> View:
    """A stack as it is now."""
    return View(
        json={
            "project": one.project,
            "services": [asdict(service) for service in one.services],
            "volumes": one.volumes,
        },
        lines=["\t".join(_columns(service)) for service in one.services],
        quiet=[service.name for service in one.services if service.is_ready],
        human=lambda: status_table(one),
    )


def watch(out: Out, look: Callable[[], StackStatus]) -> NoReturn:
    """Show the stack again and again, until Ctrl-C: drawn in place, or one view after another."""
    if out.mode is not Mode.HUMAN:
        while True:
            if out.mode is Mode.JSON:
                out.stdout.write(json.dumps(status(look()).json) + "\n")
                out.stdout.flush()
            else:
                out.show(status(look()))
            time.sleep(_PAUSE)
    from rich.live import Live

    with Live(console=out.console(out.stdout), auto_refresh=False) as live:
        while True:
            live.update(status_table(look()), refresh=True)
            time.sleep(_PAUSE)


def status_table(one: StackStatus) -> RenderableType:
    """A stack as it is now, as a table that fits 80 columns."""
    from rich.console import Group
    from rich.text import Text

    right = ("up", "CPU", "memory", "data")
    shown = new_table("service", "state", "address", "version", *right, right=right)
    for column in shown.columns:
        column.no_wrap = column.header != "state"
        column.overflow = "ellipsis" if column.header == "version" else "fold"
    for service in one.services:
        name, state, health, url, version, up, _, cpu, memory = _columns(service)
        data = [one.volumes[name] for name in service.volumes if one.volumes.get(name) is not None]
        word = styled(health if state == "running" and health else state)
        if service.restarts:
            word.append(f", {service.restarts} restarts", style="yellow")
        shown.add_row(
            name,
            word,
            url.removeprefix("http://"),
            version,
            up,
            cpu,
            memory.partition(" / ")[0],
            format_bytes(sum(filter(None, data))) if data else "",
        )
    absent = [service.name for service in one.services if service.state == "absent"]
    if not absent:
        return shown
    return Group(shown, Text(f"`clipstack up` starts {', '.join(absent)}.", style="dim"))


def _columns(one: ServiceStatus) -> list[str]:
    memory = format_bytes(one.memory) if one.memory is not None else ""
    if memory and one.memory_limit:
        memory += f" / {format_bytes(one.memory_limit)}"
    return [
        one.name,
        one.state,
        one.health,
        one.url,
        one.version,
        format_duration(one.uptime) if one.uptime is not None else "",
        str(one.restarts),
        f"{one.cpu:.0f} %" if one.cpu is not None else "",
        memory,
    ]
