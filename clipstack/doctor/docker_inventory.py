"""Docker's engine in; the stacks of clipstack's it holds anything of, out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipstack.errors import PrerequisiteError
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL, SERVICE_LABEL
from clipstack.stack.services import SERVICES

if TYPE_CHECKING:
    from docker import DockerClient

_FILES_LABEL = "com.docker.compose.project.config_files"
_VOLUMES = {"etcd", "minio", "milvus"}


@dataclass(slots=True)
class StackInventory:
    """What Docker has of one stack: names of its containers, of those that are stopped, of its
    volumes and of its networks."""

    project: str
    running: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    @property
    def in_words(self) -> str:
        """ "2 running containers, 3 volumes"."""
        counts = {
            "running container": len(self.running),
            "stopped container": len(self.stopped),
            "volume": len(self.volumes),
            "network": len(self.networks),
        }
        named = (f"{n} {name}{'s' if n > 1 else ''}" for name, n in counts.items() if n)
        return ", ".join(named)


def stacks() -> dict[str, StackInventory] | None:
    """Every stack of clipstack's that Docker has anything of, by project; None without Docker."""
    try:
        return _collected(containers.client())
    except (PrerequisiteError, OSError):
        return None


def has_docker() -> bool:
    """Whether Docker can be used."""
    try:
        containers.client()
    except PrerequisiteError:
        return False
    return True


def _collected(client: DockerClient) -> dict[str, StackInventory]:
    label = {"label": PROJECT_LABEL}
    found: dict[str, StackInventory] = {}
    ours: set[str] = set()
    for one in client.api.containers(all=True, filters=label):
        labels = one["Labels"]
        remains = _of(labels, found)
        stopped = one["State"] in ("exited", "created", "dead")
        name = one["Names"][0].lstrip("/")
        (remains.stopped if stopped else remains.running).append(name)
        if _is_ours(labels):
            ours.add(remains.project)
    for volume in client.api.volumes(filters=label)["Volumes"] or []:
        remains = _of(volume["Labels"], found)
        remains.volumes.append(volume["Name"])
        if _has_all_volumes(remains):
            ours.add(remains.project)
    for network in client.api.networks(filters=label):
        _of(network["Labels"], found).networks.append(network["Name"])
    return {name: one for name, one in found.items() if name in ours}


def _of(labels: dict[str, Any], found: dict[str, StackInventory]) -> StackInventory:
    project = labels[PROJECT_LABEL]
    return found.setdefault(project, StackInventory(project))


def _is_ours(labels: dict[str, str]) -> bool:
    """A container made from our compose.yaml: one of its services, from a folder `compose`."""
    files = labels.get(_FILES_LABEL, "")
    return labels.get(SERVICE_LABEL) in SERVICES and "compose/compose.yaml" in files


def _has_all_volumes(remains: StackInventory) -> bool:
    """All three volumes of ours, and by Compose's names for them."""
    names = {name.removeprefix(f"{remains.project}_") for name in remains.volumes}
    return names >= _VOLUMES
