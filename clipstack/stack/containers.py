"""Docker containers of a stack.

The only module that imports Docker's library. Others call it through the client from here, and get
its errors as clipstack's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError, PrerequisiteError

if TYPE_CHECKING:
    from docker import DockerClient as DockerClient

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
_SECONDS = 10
_DAEMON_DOWN = (
    *("cannot connect", "refused", "filenotfounderror", "no such file"),
    "is the docker daemon running",
)


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
    """A client of the daemon that `docker` would use: DOCKER_HOST, else the current context.

    Args:
        seconds: to wait for each response.

    Raises:
        PrerequisiteError: Docker is not installed or not running, or this user may not use it.
    """
    import docker
    from docker.errors import DockerException

    environment: dict[str, str] = dict(os.environ)
    if not os.environ.get("DOCKER_HOST") and (host := _context_host()):
        environment["DOCKER_HOST"] = host
    try:
        connected = docker.from_env(timeout=int(seconds), environment=environment)
        connected.ping()
    except (DockerException, OSError) as error:
        raise docker_error(str(error)) from None
    return connected


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
    message = " ".join(message.split())
    lower = message.lower()
    if "permission denied" in lower or "permissionerror" in lower:
        return PrerequisiteError(
            "this user may not use Docker",
            hint="Type `sudo usermod -aG docker $USER` and log in again.",
        )
    if not shutil.which("docker"):
        return PrerequisiteError(
            "Docker is not installed", hint="Install Docker Engine or Docker Desktop."
        )
    if any(words in lower for words in _DAEMON_DOWN):
        return PrerequisiteError(
            "Docker is not running",
            hint="Start Docker Desktop, or type `sudo systemctl start docker`.",
        )
    if "timed out" in lower:
        return PrerequisiteError("Docker does not answer", hint="Restart Docker.")
    return PrerequisiteError(f"Docker can't be used: {message[:300]}", hint="See `docker version`.")


def is_local() -> bool:
    """Whether Docker runs on this machine, so that its ports and files are this machine's."""
    host = os.environ.get("DOCKER_HOST") or _context_host()
    return not host or host.startswith(("unix:", "npipe:"))


def _context_host() -> str:
    from docker.context import ContextAPI

    try:
        context = ContextAPI.get_current_context()
        return str(context.Host or "") if context and context.Name != "default" else ""
    except Exception:  # a broken context file is no reason to fail
        return ""


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


def image_id(client: DockerClient, image: str) -> str:
    """The id of the image that a name with a tag means; "" if it is not on Docker's machine."""
    from docker.errors import DockerException

    try:
        return str(client.api.inspect_image(image)["Id"])
    except DockerException:
        return ""
