"""A stack's name and variables in; the state and the use of each of its services out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clipstack.settings import stack_variables
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL, Container
from clipstack.stack.services import SERVICES, of_stack

if TYPE_CHECKING:
    from docker import DockerClient

_SIZE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service now.

    Attributes:
        state: the container's, or "absent".
        health: what its health check says, "" without one.
        version: the image's tag.
        uptime: seconds since it started, None while it does not run; likewise:
        cpu: percent of one core; memory, memory_limit: bytes.
        volumes: names of those it keeps its data in.
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
        """Whether it runs and nothing is known against it."""
        return containers.is_ready(self.state, self.health)


@dataclass(frozen=True, slots=True)
class StackStatus:
    """A stack now; `volumes` has the bytes in each, None where the engine did not say."""

    project: str
    services: list[ServiceStatus]
    volumes: dict[str, int | None]

    @property
    def is_ready(self) -> bool:
        """Whether every service is."""
        return all(one.is_ready for one in self.services)

    @property
    def is_absent(self) -> bool:
        """Whether nothing of it runs."""
        return not any(one.state in ("running", "restarting", "paused") for one in self.services)


@containers.translated()
def look(project: str, values: Mapping[str, str], *, sizes: bool = True) -> StackStatus:
    """The stack as it is now. It takes two seconds: the engine measures the CPU over one.

    Args:
        sizes: also of the volumes; the engine counts all its files for that.

    Raises:
        PrerequisiteError: Docker can't be used.
    """
    client = containers.client()
    found = containers.containers(client, project)
    names = [one.name for one in of_stack(values)]
    names += [name for name in SERVICES if name in found and name not in names]
    with ThreadPoolExecutor(len(names) + 1) as pool:
        measured = {
            name: pool.submit(_measured, client, one)
            for name, one in found.items()
            if one.state == "running"
        }
        counted = pool.submit(volume_sizes, project) if sizes else None
        stats = {name: one.result() for name, one in measured.items()}
        bytes_of = counted.result() if counted else {}
    addresses = stack_variables.addresses(values)
    services = [
        _status(name, found.get(name), addresses, values, stats.get(name)) for name in names
    ]
    return StackStatus(project, services, bytes_of)


def _status(
    name: str,
    one: Container | None,
    addresses: Mapping[str, str],
    values: Mapping[str, str],
    stats: tuple[float, int, int] | None,
) -> ServiceStatus:
    image = one.image if one else values[SERVICES[name].image]
    cpu, memory, limit = stats or (None, None, None)
    return ServiceStatus(
        name=name,
        state=one.state if one else "absent",
        health=one.health if one and one.state == "running" else "",
        url=addresses[name],
        image=image,
        version=_version(image),
        uptime=_uptime(one) if one and one.state == "running" else None,
        restarts=one.restarts if one else 0,
        exit_code=one.exit_code if one else 0,
        cpu=cpu,
        memory=memory,
        memory_limit=limit,
        volumes=list(one.volumes) if one else [],
    )


def _version(image: str) -> str:
    name, _, tag = image.rpartition(":")
    return tag if name and "/" not in tag else ""


def _uptime(one: Container) -> float:
    started = datetime.fromisoformat(one.started_at[:19] + "+00:00")
    return (datetime.now(UTC) - started).total_seconds()


def _measured(client: DockerClient, one: Container) -> tuple[float, int, int] | None:
    """CPU in percent of one core, bytes of memory in use, and their limit."""
    from docker.errors import DockerException

    try:
        facts: dict[str, Any] = client.api.stats(one.id, stream=False)
        now, before, memory = facts["cpu_stats"], facts["precpu_stats"], facts["memory_stats"]
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
        cpu = 100 * used / passed * now["online_cpus"] if passed > 0 else 0.0
        details = memory["stats"]
        # The page cache counts as use, though it gives way; `docker stats` leaves it out too.
        cache = details.get("inactive_file", details.get("total_inactive_file", 0))
        return cpu, memory["usage"] - cache, memory["limit"]
    except (DockerException, OSError, KeyError, TypeError):
        return None  # it has just stopped


def volume_sizes(project: str) -> dict[str, int | None]:
    """Bytes in each volume of the stack, None where the engine does not say."""
    from docker.errors import DockerException

    client = containers.client(_SIZE_SECONDS)
    try:
        found: Sequence[Mapping[str, Any]] = client.df()["Volumes"] or []
    except (DockerException, OSError):
        return {}
    sizes: dict[str, int | None] = {}
    for one in found:
        if (one.get("Labels") or {}).get(PROJECT_LABEL) == project:
            count = int((one.get("UsageData") or {}).get("Size", -1))
            sizes[str(one["Name"])] = count if count >= 0 else None
    return sizes
