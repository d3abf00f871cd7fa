"""Stopping and removing a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from clipstack.errors import UnreachableError
from clipstack.events import Events
from clipstack.settings import Settings, stack_variables
from clipstack.stack import containers, published_ports, volume_deletion
from clipstack.stack.containers import PROJECT_LABEL, Container
from clipstack.stack.deadline import Deadline
from clipstack.stack.services import SERVICES, check_names

_GRACE_SECONDS = 20


@containers.translate_errors()
def stop(
    project: str, names: Sequence[str], events: Events, deadline: Deadline | None = None
) -> list[str]:
    """Stop services, each before those it depends on; returns the names of those that ran.

    Args:
        deadline: when containers that have not stopped are killed, if that is soon.

    Raises:
        UnreachableError: a service has no container.
    """
    client = containers.client()
    by_name = require_containers(client, project, names)
    events.stage("Stopping")
    return stop_containers(client, by_name, deadline)


@dataclass(frozen=True, slots=True)
class DownResult:
    """What `down` removed: names of services and of volumes.

    Attributes:
        networks: those that stay, each with the names of the foreign containers in it.
    """

    services: list[str]
    volumes: list[str]
    networks: dict[str, list[str]] = field(default_factory=dict)


@containers.translate_errors()
def down(
    project: str, events: Events, *, delete_volumes: bool, deadline: Deadline | None = None
) -> DownResult:
    """Stop and remove the containers and the network.

    A network with a foreign container in it stays.

    Args:
        delete_volumes: whether to remove the data too, and the credentials that it was stored with.
        deadline: when containers that have not stopped are killed, if that is soon.

    Raises:
        UnreachableError: another container uses a volume that is to be deleted; nothing was done.
        ClipstackError: a volume can't be deleted (exit code 7).
    """
    client = containers.client()
    names = volume_names(client, project) if delete_volumes else []
    volume_deletion.check_unused(client, project, names)
    by_name = containers.list_containers(client, project)
    if by_name:
        events.stage("Stopping")
        stop_containers(client, by_name, deadline)
    containers.remove_all(client, project)
    networks = containers.remove_networks(client, project)
    if delete_volumes:
        volume_deletion.delete(client, project, names)
        if not published_ports.is_elsewhere(stack_variables.variables(project, {}, {})):
            stack_variables.forget(project)
    return DownResult(list(by_name), names, networks)


def mend_networks(client: containers.DockerClient, project: str, events: Events) -> None:
    """Remove networks of one name, which keep compose from starting anything."""
    listed = client.api.networks(filters={"label": f"{PROJECT_LABEL}={project}"})
    names = [network["Name"] for network in listed]
    if len(names) == len(set(names)):
        return
    events.note(f"There are two networks {max(names, key=names.count)}: they are made anew.")
    stop_containers(client, containers.list_containers(client, project))
    containers.remove_all(client, project)
    containers.remove_networks(client, project)


def volume_names(client: containers.DockerClient, project: str) -> list[str]:
    """Names of the volumes that hold a stack's data."""
    return sorted(volume["Name"] for volume in containers.list_volumes(client, project))


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
    by_name = containers.list_containers(client, project)
    check_names(name for name in names if name not in by_name)
    missing = [name for name in names if name not in by_name]
    if missing or not by_name:
        part = f"{', '.join(missing)} of " if by_name else ""
        command = " ".join(["clipstack up", *(missing if by_name else [])])
        raise UnreachableError(
            f"{part}the stack {project} is not running",
            hint=f"`{command}{project_option(project)}` starts it.",
        )
    return {name: by_name[name] for name in by_name if not names or name in names}


def stop_containers(
    client: containers.DockerClient,
    by_name: Mapping[str, Container],
    deadline: Deadline | None = None,
) -> list[str]:
    """Stop containers side by side, those that others depend on last; returns those that ran.

    Args:
        deadline: when containers that have not stopped are killed, if that is soon.
    """
    running = {
        name: container
        for name, container in by_name.items()
        if container.state in ("running", "paused", "restarting")
    }
    order = [[name for name in running if name not in ("etcd", "minio")]]
    order.append([name for name in running if name in ("etcd", "minio")])
    for names in order:
        grace = int(min(_GRACE_SECONDS, deadline.left)) if deadline else _GRACE_SECONDS
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            stopping = [
                pool.submit(containers.stop_container, client, running[name], grace)
                for name in names
            ]
            for future in stopping:
                future.result()
    return sorted(running, key=[*SERVICES, *sorted(running.keys() - SERVICES.keys())].index)
