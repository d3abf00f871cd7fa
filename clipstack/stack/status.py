"""What the services of a stack do and use now."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clipstack.errors import ClipstackError
from clipstack.settings import stack_variables
from clipstack.stack import containers, published_ports
from clipstack.stack.containers import PROJECT_LABEL, Container
from clipstack.stack.services import SERVICES, stack_services

_SIZE_SECONDS = 20.0
_Usage = tuple[float | None, int, int]


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service of a stack.

    Attributes:
        state: the container's, or "absent".
        health: of its health check, "" without one.
        version: the image's tag.
        uptime: seconds since it started, None while it does not run.
        cpu: percent of one core, None while it does not run or is not known.
        memory, memory_limit: bytes, None while it does not run.
        volumes: names of the volumes with its data.
    """

    name: str
    state: str
    health: str
    url: str
    image: str
    version: str
    uptime: float | None
    restarts: int
    exit_code: int
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    volumes: list[str]

    @property
    def is_ready(self) -> bool:
        """Whether it runs and its health check, if it has one, passes."""
        return containers.is_ready(self.state, self.health)


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A stack; `volumes` has the bytes in each of them, None where Docker does not know."""

    project: str
    services: list[ServiceStatus]
    volumes: dict[str, int | None]

    @property
    def is_ready(self) -> bool:
        """Whether every service is ready."""
        return all(service.is_ready for service in self.services)

    @property
    def is_absent(self) -> bool:
        """Whether none of its services runs."""
        return not any(
            service.state in ("running", "restarting", "paused") for service in self.services
        )


@containers.translate_errors()
def read_status(project: str, values: Mapping[str, str]) -> StackStatus:
    """The state of a stack. It takes two seconds, as Docker measures the use of the CPU over one.

    Raises:
        PrerequisiteError: Docker can't be used.
    """
    client = containers.client()
    by_name = containers.list_containers(client, project)
    names = [service.name for service in stack_services(values)]
    names += [name for name in SERVICES if name in by_name and name not in names]
    with ThreadPoolExecutor(len(names) + 1) as pool:
        usage = {
            name: pool.submit(_usage, client, container)
            for name, container in by_name.items()
            if container.state == "running"
        }
        sizes = pool.submit(volume_sizes, project)
        usages = {name: future.result() for name, future in usage.items()}
        volumes = sizes.result()
    urls = stack_variables.service_urls(published_ports.located(values))
    services = [_status(name, by_name.get(name), urls, values, usages.get(name)) for name in names]
    return StackStatus(project, services, volumes)


def _status(
    name: str,
    container: Container | None,
    urls: Mapping[str, str],
    values: Mapping[str, str],
    usage: _Usage | None,
) -> ServiceStatus:
    running = container is not None and container.state == "running"
    image = container.image if container else values[SERVICES[name].image_variable]
    cpu, memory, limit = usage or (None, None, None)
    return ServiceStatus(
        name=name,
        state=container.state if container else "absent",
        health=container.health if container and running else "",
        url=urls[name],
        image=image,
        version=_version(image),
        uptime=_uptime(container) if container and running else None,
        restarts=container.restarts if container else 0,
        exit_code=container.exit_code if container else 0,
        cpu=cpu,
        memory=memory,
        memory_limit=limit,
        volumes=list(container.volumes) if container else [],
    )


def _version(image: str) -> str:
    name, _, tag = image.rpartition(":")
    return tag if name and "/" not in tag else ""


def _uptime(container: Container) -> float:
    started = datetime.fromisoformat(container.started_at[:19] + "+00:00")
    return (datetime.now(UTC) - started).total_seconds()


def _usage(client: containers.DockerClient, container: Container) -> _Usage | None:
    """CPU in percent of one core (None if unknown), bytes of memory in use, and their limit."""
    try:
        with containers.translate_errors():
            stats: dict[str, Any] = client.api.stats(container.id, stream=False)
        now, before, memory = stats["cpu_stats"], stats["precpu_stats"], stats["memory_stats"]
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
        # Counters start anew with the container.
        cpu = 100 * used / passed * now["online_cpus"] if used >= 0 and passed > 0 else None
        details = memory["stats"]
        # The page cache counts as use, though it gives way; `docker stats` leaves it out too.
        cache = details.get("inactive_file", details.get("total_inactive_file", 0))
        return cpu, memory["usage"] - cache, memory["limit"]
    except (ClipstackError, OSError, KeyError, TypeError):
        return None  # it has just stopped


def volume_sizes(project: str) -> dict[str, int | None]:
    """Bytes in each volume of a stack, None where Docker does not know."""
    client = containers.client(_SIZE_SECONDS)
    try:
        with containers.translate_errors():
            volumes: list[dict[str, Any]] = client.df()["Volumes"] or []
    except (ClipstackError, OSError):
        return {}
    sizes: dict[str, int | None] = {}
    for volume in volumes:
        if (volume.get("Labels") or {}).get(PROJECT_LABEL) == project:
            size = int((volume.get("UsageData") or {}).get("Size", -1))
            sizes[str(volume["Name"])] = size if size >= 0 else None
    return sizes
