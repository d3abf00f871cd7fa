"""The stacks of clipstack that Docker has containers, volumes or networks of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clipstack.errors import PrerequisiteError
from clipstack.settings import stack_variables
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL, SERVICE_LABEL
from clipstack.stack.services import SERVICES

_FILES_LABEL = "com.docker.compose.project.config_files"
_VOLUMES = {"etcd", "minio", "milvus"}


@dataclass(slots=True)
class StackInventory:
    """Names of one stack's containers, running and stopped, of its volumes and networks."""

    project: str
    running: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    @property
    def is_gone(self) -> bool:
        """Whether neither containers nor volumes are left."""
        return not (self.running or self.stopped or self.volumes)

    @property
    def ambiguous_networks(self) -> list[str]:
        """Names that more than one network has: with these, Compose starts nothing."""
        return sorted({name for name in self.networks if self.networks.count(name) > 1})

    @property
    def summary(self) -> str:
        """The counts in words, such as "2 running containers, 3 volumes"."""
        counts = {
            "running container": len(self.running),
            "stopped container": len(self.stopped),
            "volume": len(self.volumes),
            "network": len(self.networks),
        }
        return ", ".join(
            f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts.items() if count
        )


def stacks() -> dict[str, StackInventory] | None:
    """The stacks by project; None if Docker can't be used."""
    try:
        return _stacks(containers.client())
    except (PrerequisiteError, OSError):
        return None


def has_docker() -> bool:
    """Whether Docker can be used."""
    try:
        containers.client()
    except PrerequisiteError:
        return False
    return True


def _stacks(client: containers.DockerClient) -> dict[str, StackInventory]:
    label = {"label": PROJECT_LABEL}
    inventories: dict[str, StackInventory] = {}
    ours = set(stack_variables.projects())

    def inventory_of(labels: dict[str, Any]) -> StackInventory:
        project = labels[PROJECT_LABEL]
        return inventories.setdefault(project, StackInventory(project))

    for container in client.api.containers(all=True, filters=label):
        inventory = inventory_of(container["Labels"])
        is_stopped = container["State"] in ("exited", "created", "dead")
        names = inventory.stopped if is_stopped else inventory.running
        names.append(container["Names"][0].lstrip("/"))
        if _is_ours(container["Labels"]):
            ours.add(inventory.project)
    for volume in client.api.volumes(filters=label)["Volumes"] or []:
        inventory = inventory_of(volume["Labels"])
        inventory.volumes.append(volume["Name"])
        if _has_all_volumes(inventory):
            ours.add(inventory.project)
    for network in client.api.networks(filters=label):
        inventory_of(network["Labels"]).networks.append(network["Name"])
    return {project: inventory for project, inventory in inventories.items() if project in ours}


def _is_ours(labels: dict[str, str]) -> bool:
    """Whether a container is of our compose.yaml: one of its services, from a folder `compose`."""
    files = labels.get(_FILES_LABEL, "")
    return labels.get(SERVICE_LABEL) in SERVICES and "compose/compose.yaml" in files


def _has_all_volumes(inventory: StackInventory) -> bool:
    """Whether a stack has all three volumes of ours, by the names that Compose gives them."""
    names = {name.removeprefix(f"{inventory.project}_") for name in inventory.volumes}
    return names >= _VOLUMES
