"""Stopping and removing a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clipstack.errors import UnreachableError
from clipstack.events import Events
from clipstack.settings import Settings, stack_variables
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL, Container
from clipstack.stack.services import SERVICES, check_names

_GRACE_SECONDS = 20


@containers.translate_errors()
def stop(project: str, names: Sequence[str], events: Events) -> list[str]:
    """Stop services, each before those it depends on; returns the names of those that ran.

    Raises:
        UnreachableError: a service has no container.
    """
    client = containers.client()
    by_name = require_containers(client, project, names)
    events.stage("Stopping")
    return stop_containers(client, by_name)


@dataclass(frozen=True, slots=True)
class DownResult:
    """What `down` removed: names of services and of volumes."""

    services: list[str]
    volumes: list[str]


@containers.translate_errors()
def down(project: str, events: Events, *, delete_volumes: bool) -> DownResult:
    """Stop and remove the containers and the network.

    Args:
        delete_volumes: whether to remove the data too, and the credentials that it was stored with.
    """
    client = containers.client()
    by_name = containers.list_containers(client, project)
    if by_name:
        events.stage("Stopping")
        stop_containers(client, by_name)
    label = {"label": f"{PROJECT_LABEL}={project}"}
    for container in client.api.containers(all=True, filters=label):
        client.api.remove_container(container["Id"], force=True, v=True)
    for network in client.api.networks(filters=label):
        client.api.remove_network(network["Id"])
    removed_volumes = []
    if delete_volumes:
        removed_volumes = volume_names(client, project)
        for name in removed_volumes:
            client.api.remove_volume(name, force=True)
        stack_variables.forget(project)
    return DownResult(list(by_name), removed_volumes)


def volume_names(client: containers.DockerClient, project: str) -> list[str]:
    """Names of the volumes that hold a stack's data."""
    label = {"label": f"{PROJECT_LABEL}={project}"}
    volumes = client.api.volumes(filters=label)["Volumes"] or []
    return sorted(volume["Name"] for volume in volumes)


def project_option(project: str) -> str:
    """The option that selects this stack, for a command that a message suggests."""
    return "" if project == Settings().project else f" --project {project}"


def require_containers(
    client: containers.DockerClient, project: str, names: Sequence[str]
) -> dict[str, Container]:
    """The containers of the services called `names`, or of all, by service.

    Raises:
        NotFoundError: there is no such service.
        UnreachableError: a service has no container.
    """
    check_names(names)
    by_name = containers.list_containers(client, project)
    missing = [name for name in names if name not in by_name]
    if missing or not by_name:
        part = f"{', '.join(missing)} of " if by_name else ""
        command = " ".join(["clipstack up", *(missing if by_name else [])])
        raise UnreachableError(
            f"{part}the stack {project} is not running",
            hint=f"`{command}{project_option(project)}` starts it.",
        )
    return {name: by_name[name] for name in by_name if not names or name in names}


def stop_containers(client: containers.DockerClient, by_name: Mapping[str, Container]) -> list[str]:
    """Stop containers side by side, those that others depend on last; returns those that ran."""
    running = {
        name: container
        for name, container in by_name.items()
        if container.state in ("running", "paused", "restarting")
    }
    order = [[name for name in running if name not in ("etcd", "minio")]]
    order.append([name for name in running if name in ("etcd", "minio")])
    for names in order:
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            stopping = [
                pool.submit(containers.stop_container, client, running[name], _GRACE_SECONDS)
                for name in names
            ]
            for future in stopping:
                future.result()
    return [name for name in SERVICES if name in running]
