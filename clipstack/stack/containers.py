"""Docker containers of a stack.

The only module that imports Docker's library. Others call it through the client from here, and get
its errors as clipstack's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError, PrerequisiteError
from clipstack.stack import endpoint
from clipstack.stack.endpoint import Endpoint

if TYPE_CHECKING:
    from docker import DockerClient as DockerClient

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
_SECONDS = 10
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a stack.

    Attributes:
        service: its name in compose.yaml.
        image: the image's name and tag.
        image_id: the image that this name meant when the container was created.
        state: created, running, paused, restarting, exited, removing or dead.
        health: healthy, starting, unhealthy, or "" without a health check.
        exit_code: of its last exit.
        oom_killed: whether it was killed for its use of memory.
        started_at: when it last started, RFC 3339 in UTC.
        volumes: names of its volumes.
    """

    id: str
    service: str
    name: str
    image: str
    image_id: str
    state: str
    health: str
    exit_code: int
    oom_killed: bool
    restarts: int
    started_at: str
    volumes: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it runs and its health check, if it has one, passes."""
        return is_ready(self.state, self.health)


def is_ready(state: str, health: str) -> bool:
    """Whether a container in this state and health is ready."""
    return state == "running" and health in ("", "healthy")


def preload() -> None:
    """Import Docker's library, so that the first call of `client` takes no time for that."""
    import docker  # noqa: F401


def client(seconds: float = _SECONDS) -> DockerClient:
    """A client of the engine that `docker` uses, `endpoint.current`.

    Args:
        seconds: to wait for each response.

    Raises:
        PrerequisiteError: Docker is not installed or not running, this user may not use it, or
            there is no such engine.
    """
    import docker
    from docker.errors import DockerException

    where = endpoint.current()
    transport = None if where.is_local else _transport(where)
    url = transport.url if transport else where.host
    try:
        connected = docker.DockerClient(url, tls=transport or False, timeout=int(seconds))
        connected.ping()
    except (DockerException, OSError) as error:
        reason = transport.adapter.error if transport else ""
        raise docker_error(reason or str(error)) from None
    return connected


def _transport(where: Endpoint) -> Any:
    """What makes a client of Docker's library connect to an engine as `docker` does."""
    from docker.tls import TLSConfig

    from clipstack.stack import docker_transport

    class Transport(TLSConfig):  # type: ignore[misc]
        url = docker_transport.URL
        adapter = docker_transport.DialAdapter(where.environment(os.environ))

        # The library calls it before its first request.
        def configure_client(self, client: Any) -> None:
            client.trust_env = False
            client.mount("http://", self.adapter)

    return Transport()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise errors of Docker's library as clipstack's; a context manager or a decorator.

    Raises:
        PrerequisiteError: Docker can't be used any more.
        ClipstackError: it refused a request.
    """
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise ClipstackError(
            f"Docker refused: {error.explanation or error}", hint="`clipstack status` says more."
        ) from None
    except DockerException as error:
        raise docker_error(str(error)) from None
    except OSError as error:
        if not type(error).__module__.startswith("requests"):
            raise
        raise docker_error(str(error)) from None


def docker_error(message: str) -> PrerequisiteError:
    """The error for a message by which Docker, or its client, says that it can't be used."""
    try:
        return endpoint.current().error(message)
    except PrerequisiteError as error:
        return error


def list_containers(client: DockerClient, project: str) -> dict[str, Container]:
    """The containers of a stack by service, without those of `docker compose run`."""
    labels = {"label": [f"{PROJECT_LABEL}={project}", "com.docker.compose.oneoff=False"]}
    listed = client.api.containers(all=True, filters=labels)
    inspected = [_inspect(client, entry["Id"]) for entry in listed]
    return {container.service: container for container in inspected if container}


def _inspect(client: DockerClient, container_id: str) -> Container | None:
    from docker.errors import NotFound

    try:
        attributes: Mapping[str, Any] = client.api.inspect_container(container_id)
    except NotFound:  # removed since it was listed
        return None
    state, config = attributes["State"], attributes["Config"]
    mounts = attributes.get("Mounts") or []
    return Container(
        id=container_id,
        service=config["Labels"].get(SERVICE_LABEL, ""),
        name=attributes["Name"].lstrip("/"),
        image=config["Image"],
        image_id=attributes["Image"],
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=int(state["ExitCode"]),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(attributes.get("RestartCount", 0)),
        started_at=state["StartedAt"],
        volumes=tuple(mount["Name"] for mount in mounts if mount.get("Name")),
    )


def stop_container(client: DockerClient, container: Container, seconds: int) -> None:
    """Stop a container, and kill it after `seconds`; nothing to do if it has been removed."""
    from docker.errors import NotFound

    try:
        if container.state == "paused":
            client.api.unpause(container.id)
        client.api.stop(container.id, timeout=seconds)
    except NotFound:
        pass


def environment(client: DockerClient, container: Container) -> dict[str, str]:
    """The variables of a container."""
    variables = client.api.inspect_container(container.id)["Config"]["Env"] or []
    return dict(variable.split("=", 1) for variable in variables if "=" in variable)


def list_volumes(client: DockerClient, project: str) -> list[dict[str, Any]]:
    """The volumes of a stack, as Docker describes them."""
    label = {"label": f"{PROJECT_LABEL}={project}"}
    return client.api.volumes(filters=label)["Volumes"] or []


def volume_users(client: DockerClient, name: str, *, except_for: str = "") -> list[str]:
    """Names of the containers that use a volume, running or not.

    Args:
        except_for: a stack whose containers do not count.
    """
    return [
        container["Names"][0].lstrip("/")
        for container in client.api.containers(all=True, filters={"volume": name})
        if (container.get("Labels") or {}).get(PROJECT_LABEL, "") != except_for or not except_for
    ]


def remove_volume(client: DockerClient, name: str) -> bool:
    """Remove a volume; returns False where Docker refuses."""
    from docker.errors import APIError, NotFound

    try:
        client.api.remove_volume(name, force=True)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def remove_all(client: DockerClient, project: str) -> None:
    """Remove the containers of a stack, those of `docker compose run` too."""
    from docker.errors import NotFound

    label = {"label": f"{PROJECT_LABEL}={project}"}
    for container in client.api.containers(all=True, filters=label):
        with suppress(NotFound):
            client.api.remove_container(container["Id"], force=True, v=True)


def remove_networks(client: DockerClient, project: str) -> dict[str, list[str]]:
    """Remove the networks of a stack.

    Returns:
        Those that containers of others are in, by name, and the names of these containers.
    """
    from docker.errors import APIError, NotFound

    left = {}
    for network in client.api.networks(filters={"label": f"{PROJECT_LABEL}={project}"}):
        try:
            client.api.remove_network(network["Id"])
        except NotFound:
            continue
        except APIError:
            members = client.api.inspect_network(network["Id"])["Containers"] or {}
            left[network["Name"]] = sorted(member["Name"] for member in members.values())
    return left


def remove_never_started(client: DockerClient, project: str) -> None:
    """Remove the containers of a stack that were created and not started: they hold no data.

    The engine may go on creating and starting what it was asked for last.
    """
    from docker.errors import APIError

    until = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < until:
        for container in list_containers(client, project).values():
            if container.state == "created":
                with suppress(APIError):  # it has just been started
                    client.api.remove_container(container.id, v=True)
        time.sleep(_SETTLE_SECONDS / 5)


def image_id(client: DockerClient, image: str) -> str:
    """The id of the image that a name with a tag means; "" if it is not on Docker's machine."""
    from docker.errors import DockerException

    try:
        return str(client.api.inspect_image(image)["Id"])
    except DockerException:
        return ""


@translate_errors()
def image_bytes(client: DockerClient, image: str) -> int:
    """Size of an image.

    Raises:
        ClipstackError: Docker has no such image.
    """
    return int(client.api.inspect_image(image)["Size"])


@translate_errors()
def engine_id(client: DockerClient) -> str:
    """What an engine is known by, whatever its URL is. Two of one machine can share an ID."""
    info = client.info()
    return f"{info.get('ID', '')} {info.get('DockerRootDir', '')}"
