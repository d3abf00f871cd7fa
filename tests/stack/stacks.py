"""Real stacks for tests: the users' compose.yaml on images built here, each on ports of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import Ran, process
from tests.serving import free_port

ROOT = Path(__file__).parents[2]
IMAGES = {
    "CLIPSTACK_ETCD_IMAGE": "clipstack-test/etcd:3.5.16",
    "CLIPSTACK_MINIO_IMAGE": "clipstack-test/s3:1.75",
    "CLIPSTACK_MILVUS_IMAGE": "clipstack-test/milvus:2.3.5",
    "CLIPSTACK_BENTOML_IMAGE": "clipstack-test/bentoml:shapes",
    # Milvus forgets a killed process only when its session expires.
    "CLIPSTACK_MILVUS_SESSION_TTL": "5",
}
PORTS = ("ETCD", "MINIO", "MILVUS", "MILVUS_HEALTH", "BENTOML")
SERVICES = ("etcd", "minio", "milvus", "bentoml")


@dataclass
class Stack:
    """One stack: its name, its variables, and the folders its commands keep things in."""

    folder: Path
    project: str
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {f"CLIPSTACK_{name}_PORT": str(free_port()) for name in PORTS}
        self.variables = IMAGES | ports | {"CLIPSTACK_PROJECT": self.project} | self.variables
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that uses this stack."""
        world = {name: value for name, value in os.environ.items() if name[:10] != "CLIPSTACK_"}
        folders = {
            f"CLIPSTACK_{kind}_DIR": str(self.folder / kind.lower())
            for kind in ("DATA", "CONFIG", "CACHE")
        }
        return world | folders | self.variables

    def clipstack(self, *args: object, timeout: float = 300) -> Ran:
        """`clipstack ARGS` as a process, for this stack."""
        running = process(*args, env=self.environment, cwd=self.folder)
        try:
            out, err = running.communicate(timeout=timeout)
        finally:
            running.kill()
        return Ran(running.returncode, out, err)

    def port(self, name: str) -> int:
        return int(self.variables[f"CLIPSTACK_{name}_PORT"])

    def container(self, service: str) -> str:
        """The id of a service's container."""
        label = [f"label=com.docker.compose.project={self.project}"]
        label.append(f"label=com.docker.compose.service={service}")
        return docker("ps", "-aq", *(f"--filter={value}" for value in label))

    def docker(self, verb: str, service: str, *options: str) -> str:
        """`docker VERB` on a service's container: pause, unpause, stop, start, kill, restart."""
        return docker(verb, *options, self.container(service))

    def remove(self) -> None:
        """Away with its containers, volumes and network, whatever state they are in."""
        key = f"label=com.docker.compose.project={self.project}"
        for kind, remove in (
            ("container", ["rm", "--force", "--volumes"]),
            ("volume", ["rm", "--force"]),
            ("network", ["rm"]),
        ):
            listed = docker(
                kind, "ls", "-q", *(["-a"] if kind == "container" else []), "--filter", key
            )
            if listed:
                docker(kind, *remove, *listed.split())


@contextlib.contextmanager
def removed(stack: Stack) -> Iterator[Stack]:
    """The stack, removed before and afterwards."""
    stack.remove()
    try:
        yield stack
    finally:
        stack.remove()


def compose_up(stack: Stack, *services: str, seconds: float = 180) -> None:
    """Start it as a user of plain `docker compose` would, and wait until it is healthy."""
    keys = {"CLIPSTACK_MINIO_USER": "clipstack", "CLIPSTACK_MINIO_PASSWORD": "only-for-this-test"}
    stack.variables = keys | stack.variables
    file = ROOT / "compose" / "compose.yaml"
    line = ["docker", "compose", "--file", str(file), "up", "--detach", *services]
    done = subprocess.run(line, env=stack.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_until_healthy(stack, *(services or SERVICES), seconds=seconds)


def wait_until_healthy(stack: Stack, *services: str, seconds: float = 180) -> None:
    """Until Docker calls the services' containers healthy."""
    until = time.monotonic() + seconds
    for service in services:
        while health(stack, service) != "healthy":
            assert time.monotonic() < until, docker(
                "logs", "--tail", "30", stack.container(service)
            )
            time.sleep(0.5)


def health(stack: Stack, service: str) -> str:
    return docker("inspect", "-f", "{{.State.Health.Status}}", stack.container(service))


def docker(*args: str) -> str:
    """`docker ARGS`; what it prints."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {args}: {done.stderr}"
    return done.stdout.strip()
