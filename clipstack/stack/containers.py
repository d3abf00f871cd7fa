"""Docker's engine in, the state of a stack's containers out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipstack.errors import ClipstackError, PrerequisiteError

if TYPE_CHECKING:
    from docker import DockerClient

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a stack, as the engine sees it.

    Attributes:
        service: its name in compose.yaml.
        image: the image's name and tag; image_id: which one that was.
        state: created, running, paused, restarting, exited, removing or dead.
        health: healthy, starting, unhealthy, or "" where nothing checks it.
        exit_code: of its last end; oom_killed: the engine ended it for its memory.
        started_at: when it last started, RFC 3339 in UTC.
        volumes: names of the volumes it has.
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
        """Whether the engine has nothing against it."""
        return is_ready(self.state, self.health)


def is_ready(state: str, health: str) -> bool:
    """Whether a container runs and its health check, if it has one, is content."""
    return state == "running" and health in ("", "healthy")


def client(seconds: float = _SECONDS) -> DockerClient:
    """A client on the engine that `docker` would use: DOCKER_HOST, else the current context.

    Args:
        seconds: to wait for each answer.

    Raises:
        PrerequisiteError: Docker is not installed or not running, or this user may not use it.
    """
    import docker
    from docker.errors import DockerException

    host = os.environ.get("DOCKER_HOST")
    environment: dict[str, str] = dict(os.environ)
    if not host and (context := _context_host()):
        environment["DOCKER_HOST"] = context
    try:
        found = docker.from_env(timeout=int(seconds), environment=environment)
        found.ping()
    except (DockerException, OSError) as error:
        raise trouble(str(error)) from None
    return found


@contextmanager
def translated() -> Iterator[None]:
    """What the engine says in between, as errors of ours; a context manager or a decorator.

    Raises:
        PrerequisiteError: Docker can't be used any more.
        ClipstackError: it refused what it was asked for.
    """
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise ClipstackError(
            f"Docker refused: {error.explanation or error}", hint="`clipstack status` says more."
        ) from None
    except DockerException as error:
        raise trouble(str(error)) from None
    except OSError as error:
        if not type(error).__module__.startswith("requests"):
            raise
        raise trouble(str(error)) from None


def is_local() -> bool:
    """Whether the engine is on this machine, so that its ports and files are this machine's."""
    host = os.environ.get("DOCKER_HOST") or _context_host()
    return not host or host.startswith(("unix:", "npipe:"))


def containers(found: DockerClient, project: str) -> dict[str, Container]:
    """The containers of the stack called `project`, by service; one-off ones are left out."""
    label = {"label": [f"{PROJECT_LABEL}={project}", "com.docker.compose.oneoff=False"]}
    listed = [_container(one["Id"], found) for one in found.api.containers(all=True, filters=label)]
    return {one.service: one for one in listed if one}


def trouble(said: str) -> PrerequisiteError:
    """What is wrong with Docker, from what it or its client said."""
    said = " ".join(said.split())
    lower = said.lower()
    if "permission denied" in lower or "permissionerror" in lower:
        return PrerequisiteError(
            "this user may not use Docker",
            hint="Type `sudo usermod -aG docker $USER` and log in again.",
        )
    if not shutil.which("docker"):
        return PrerequisiteError(
            "Docker is not installed", hint="Install Docker Engine or Docker Desktop."
        )
    if any(
        word in lower
        for word in (
            "cannot connect",
            "refused",
            "filenotfounderror",
            "no such file",
            "is the docker daemon running",
        )
    ):
        return PrerequisiteError(
            "Docker is not running",
            hint="Start Docker Desktop, or type `sudo systemctl start docker`.",
        )
    if "timed out" in lower:
        return PrerequisiteError("Docker's engine gives no answer", hint="Restart Docker.")
    return PrerequisiteError(f"Docker can't be used: {said[:300]}", hint="See `docker version`.")


def _context_host() -> str:
    from docker.context import ContextAPI

    try:
        context = ContextAPI.get_current_context()
        return str(context.Host or "") if context and context.Name != "default" else ""
    except Exception:  # a context file of another kind is no reason to fail
        return ""


def _container(key: str, found: DockerClient) -> Container | None:
    from docker.errors import NotFound

    try:
        facts: Mapping[str, Any] = found.api.inspect_container(key)
    except NotFound:  # removed since it was listed
        return None
    state, config = facts["State"], facts["Config"]
    return Container(
        id=key,
        service=config["Labels"].get(SERVICE_LABEL, ""),
        name=facts["Name"].lstrip("/"),
        image=config["Image"],
        image_id=facts["Image"],
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=int(state["ExitCode"]),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(facts.get("RestartCount", 0)),
        started_at=state["StartedAt"],
        volumes=tuple(one["Name"] for one in facts.get("Mounts") or [] if one.get("Name")),
    )
