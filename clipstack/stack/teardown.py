"""A stack's name in; its containers found, stopped or removed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipstack.errors import UnreachableError
from clipstack.settings import Settings, stack_variables
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL, Container
from clipstack.stack.readiness import Events
from clipstack.stack.services import SERVICES, check

if TYPE_CHECKING:
    from docker import DockerClient

_GRACE = 20


@containers.translated()
def stop(project: str, names: Sequence[str], events: Events) -> list[str]:
    """Stop services, those first that depend on others; returns the names of those that ran.

    Raises:
        UnreachableError: there are no such containers.
    """
    client = containers.client()
    found = existing(client, project, names)
    events.stage("Stopping")
    return halt(client, found)


@dataclass(frozen=True, slots=True)
class Removed:
    """What `down` removed: names of services, and of volumes."""

    services: list[str]
    volumes: list[str]


@containers.translated()
def down(project: str, events: Events, *, delete_volumes: bool) -> Removed:
    """Stop and remove the containers and the network, with `delete_volumes` also the data.

    Then the stack's credentials are forgotten too: they were those of the data.
    """
    client = containers.client()
    found = containers.containers(client, project)
    if found:
        events.stage("Stopping")
        halt(client, found)
    label = {"label": f"{PROJECT_LABEL}={project}"}
    for one in client.api.containers(all=True, filters=label):
        client.api.remove_container(one["Id"], force=True, v=True)
    for network in client.api.networks(filters=label):
        client.api.remove_network(network["Id"])
    gone = []
    if delete_volumes:
        gone = volumes(client, project)
        for name in gone:
            client.api.remove_volume(name, force=True)
        stack_variables.forget(project)
    return Removed(list(found), gone)


def volumes(client: DockerClient, project: str) -> list[str]:
    """Names of the volumes that hold the stack's data."""
    label = {"label": f"{PROJECT_LABEL}={project}"}
    return sorted(one["Name"] for one in client.api.volumes(filters=label)["Volumes"] or [])


def option(project: str) -> str:
    """What names this stack in a line to type."""
    return "" if project == Settings().project else f" --project {project}"


def existing(client: DockerClient, project: str, names: Sequence[str]) -> dict[str, Container]:
    """The containers of these services, or of all, by service.

    Raises:
        NotFoundError: there is no such service.
        UnreachableError: a service has no container.
    """
    check(names)
    found = containers.containers(client, project)
    missing = [name for name in names if name not in found]
    if not found or missing:
        what = f"{', '.join(missing)} of the stack {project}" if found else f"the stack {project}"
        line = " ".join(["clipstack up", *(missing if found else [])]) + option(project)
        raise UnreachableError(f"{what} is not running", hint=f"`{line}` starts it.")
    return {name: one for name, one in found.items() if not names or name in names}


def halt(client: DockerClient, found: Mapping[str, Container]) -> list[str]:
    """Stop them side by side, except that what others depend on stops after these."""
    running = {
        name: one for name, one in found.items() if one.state in ("running", "paused", "restarting")
    }
    order = [[name for name in running if name not in ("etcd", "minio")]]
    order.append([name for name in running if name in ("etcd", "minio")])
    for names in order:
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            list(pool.map(lambda name: _stop_one(client, running[name]), names))
    return [name for name in SERVICES if name in running]


def _stop_one(client: DockerClient, one: Container) -> None:
    from docker.errors import NotFound

    try:
        if one.state == "paused":
            client.api.unpause(one.id)
        client.api.stop(one.id, timeout=_GRACE)
    except NotFound:
        pass
