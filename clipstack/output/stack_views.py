"""Views of the Docker stack: planned, started, running, stopped, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from clipstack.output.out import Mode, Out, View, tilde
from clipstack.output.stack_progress import styled
from clipstack.output.tables import new_table
from clipstack.stack.check import Level
from clipstack.stack.lifecycle import StartResult
from clipstack.stack.plan import Plan
from clipstack.stack.status import ServiceStatus, StackStatus
from clipstack.stack.teardown import DownResult
from clipstack.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

_WATCH_SECONDS = 1.0


def started(result: StartResult) -> View:
    """The addresses of a stack that was started."""

    def human() -> RenderableType:
        table = new_table("service", "address", "state", "s", right=("s",))
        for progress in result.services:
            url = result.urls.get(progress.service.name, "")
            state = styled(progress.health or progress.state)
            table.add_row(progress.service.title, url, state, f"{progress.seconds:.0f}")
        return table

    urls = [result.urls.get(progress.service.name, "") for progress in result.services]
    return View(
        json=_started(result),
        lines=[
            f"{progress.service.name}\t{url}\t{progress.health or progress.state}"
            for progress, url in zip(result.services, urls, strict=True)
        ],
        quiet=urls,
        human=human,
    )


def _started(result: StartResult) -> dict[str, Any]:
    return {
        "project": result.project,
        "changed": result.changed,
        "seconds": round(result.seconds, 1),
        "services": [
            {
                "name": progress.service.name,
                "url": result.urls.get(progress.service.name, ""),
                "image": progress.container.image if progress.container else "",
                "state": progress.state,
                "health": progress.health,
                "seconds": round(progress.seconds, 1),
                "waited_for": {
                    name: round(spent, 1) for name, spent in progress.waited.items() if spent > 0.05
                },
            }
            for progress in result.services
        ],
        "encode": asdict(result.encoded) if result.encoded else None,
        "search": asdict(result.searched) if result.searched else None,
    }


def planned(plan: Plan) -> View:
    """What `up` would start."""
    services: list[dict[str, Any]] = [
        {
            "name": service.name,
            "image": image,
            "action": plan.actions[service.name],
            "ports": {port.variable: plan.values[port.variable] for port in service.ports},
        }
        for service in plan.services
        for image in [plan.values[service.image_variable]]
    ]
    lines = [
        "\t".join([s["name"], s["action"], s["image"], ",".join(s["ports"].values())])
        for s in services
    ]

    def human() -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        table = new_table("service", "would be", "image", "ports")
        for service in services:
            ports = ", ".join(service["ports"].values())
            table.add_row(service["name"], service["action"], service["image"], ports)
        more = new_table("variable", "value")
        for name, value in plan.changed.items():
            more.add_row(name, value)
        shown: list[RenderableType] = [table, more] if plan.changed else [table]
        return Group(*shown, *(Text(f"With {tilde(str(file))}") for file in plan.files[1:]))

    return View(
        json={
            "project": plan.project,
            "dry_run": True,
            "services": services,
            "variables": plan.changed,
            "files": [str(file) for file in plan.files],
            "checks": [asdict(check) for check in plan.checks if check.level is not Level.OK],
        },
        lines=[
            *lines,
            *(f"{name}={value}" for name, value in plan.changed.items()),
            *(f"file\t{file}" for file in plan.files[1:]),
        ],
        quiet=[service["name"] for service in services],
        human=human,
    )


def compose_file(text: str) -> View:
    """A resolved Compose file, as YAML; as JSON if that is asked for."""
    lines = text.rstrip("\n").split("\n")
    return View(json=json.loads(text) if text.startswith("{") else None, lines=lines, quiet=lines)


def removed(project: str, result: DownResult, docker: str) -> View:
    """What `down` removed, and from which engine of Docker."""
    services = [f"{name}\tremoved" for name in result.services]
    volumes = [f"{name}\tdeleted" for name in result.volumes]
    return View(
        json={
            "project": project,
            "docker": docker,
            "services": result.services,
            "volumes": result.volumes,
        },
        lines=[*services, *volumes],
        quiet=[*result.services, *result.volumes],
    )


def stopped(project: str, names: Sequence[str]) -> View:
    """The services that `stop` stopped."""
    return View(
        json={"project": project, "services": list(names)},
        lines=[f"{name}\tstopped" for name in names],
        quiet=list(names),
    )


def status(stack: StackStatus) -> View:
    """A stack as it is now."""
    return View(
        json={
            "project": stack.project,
            "services": [asdict(service) for service in stack.services],
            "volumes": stack.volumes,
        },
        lines=["\t".join(_columns(service)) for service in stack.services],
        quiet=[service.name for service in stack.services if service.is_ready],
        human=lambda: status_table(stack),
    )


def watch(out: Out, read_status: Callable[[], StackStatus]) -> NoReturn:
    """Show the stack every second until Ctrl-C: drawn in place, or one view after another."""
    if out.mode is not Mode.HUMAN:
        while True:
            if out.mode is Mode.JSON:
                out.stdout.write(json.dumps(status(read_status()).json) + "\n")
                out.stdout.flush()
            else:
                out.show(status(read_status()))
            time.sleep(_WATCH_SECONDS)
    from rich.live import Live

    with Live(console=out.console(out.stdout), auto_refresh=False) as live:
        while True:
            live.update(status_table(read_status()), refresh=True)
            time.sleep(_WATCH_SECONDS)


def status_table(stack: StackStatus) -> RenderableType:
    """A stack as it is now, as a table of at most 80 columns."""
    from rich.console import Group
    from rich.text import Text

    right = ("up", "CPU", "memory", "data")
    table = new_table("service", "state", "address", "version", *right, right=right)
    for column in table.columns:
        column.no_wrap = column.header != "state"
        column.overflow = "ellipsis" if column.header == "version" else "fold"
    for service in stack.services:
        name, state, health, url, version, up, _, cpu, memory = _columns(service)
        data = [
            stack.volumes[name] for name in service.volumes if stack.volumes.get(name) is not None
        ]
        text = styled(health if state == "running" and health else state)
        if service.restarts:
            text.append(f", {service.restarts} restarts", style="yellow")
        table.add_row(
            name,
            text,
            url.removeprefix("http://"),
            version,
            up,
            cpu,
            memory.partition(" / ")[0],
            format_bytes(sum(filter(None, data))) if data else "",
        )
    absent = [service.name for service in stack.services if service.state == "absent"]
    if not absent:
        return table
    return Group(table, Text(f"`clipstack up` starts {', '.join(absent)}.", style="dim"))


def _columns(service: ServiceStatus) -> list[str]:
    memory = format_bytes(service.memory) if service.memory is not None else ""
    if memory and service.memory_limit:
        memory += f" / {format_bytes(service.memory_limit)}"
    return [
        service.name,
        service.state,
        service.health,
        service.url,
        service.version,
        format_duration(service.uptime) if service.uptime is not None else "",
        str(service.restarts),
        f"{service.cpu:.0f} %" if service.cpu is not None else "",
        memory,
    ]
