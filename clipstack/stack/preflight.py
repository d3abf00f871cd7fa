"""A stack's variables and services in; what is in the way of starting it out.

Every function returns Checks and raises nothing: what can't be looked at is left out.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import PrerequisiteError
from clipstack.stack import containers
from clipstack.stack.check import Check, Level
from clipstack.stack.ports import Holders
from clipstack.stack.services import Port, StackService
from clipstack.units import format_bytes

if TYPE_CHECKING:
    from docker import DockerClient

OLDEST_ENGINE = (20, 10)
OLDEST_COMPOSE = (2, 20, 2)  # depends_on with `required: false`
_COMPOSE_FIX = (
    "Docker Desktop has it. On Linux install the package docker-compose-plugin, or "
    "docker-compose-v2 where the distribution calls it that: "
    "https://docs.docker.com/compose/install/linux/"
)
_GB = 1e9
_DISK_WARN, _DISK_FAIL = 5 * _GB, 1 * _GB
_SECONDS = 30.0


@containers.translated()
def everything(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """All checks. Where Docker can't be used there is only that to say."""
    found = docker_checks()
    found += [] if failures(found) else compose_checks()
    if failures(found):
        return found
    found += resource_checks(values, services)
    found += port_checks(project, values, services)
    return found + image_checks(project, values, services)


def failures(checks: Iterable[Check]) -> list[Check]:
    """Those that are in the way."""
    return [check for check in checks if check.level is Level.FAIL]


def docker_checks() -> list[Check]:
    """Docker is installed, running, open to this user, and not too old."""
    name = "Docker"
    try:
        client = containers.client()
    except PrerequisiteError as error:
        return [Check(name, Level.FAIL, error.message, error.hint)]
    if not shutil.which("docker"):
        return [
            Check(
                name,
                Level.FAIL,
                "the program `docker` is not on PATH, though its engine runs",
                "Install Docker's command line, with its plugin Compose.",
            )
        ]
    version = str(client.version().get("Version", ""))
    if _numbers(version) < OLDEST_ENGINE:
        return [
            Check(
                name,
                Level.FAIL,
                f"Docker {version} is too old",
                f"Install {_dotted(OLDEST_ENGINE)} or newer: https://docs.docker.com/engine/install/",
            )
        ]
    return [Check(name, Level.OK, f"Docker {version} is running")]


def compose_checks() -> list[Check]:
    """Compose v2 is there and not too old."""
    name = "Compose"
    if not shutil.which("docker"):
        return []
    line = ["docker", "compose", "version", "--format", "json"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=_SECONDS)
        version = str(json.loads(done.stdout)["version"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return [Check(name, Level.FAIL, "`docker compose` is not installed", _COMPOSE_FIX)]
    if _numbers(version) < OLDEST_COMPOSE:
        oldest = _dotted(OLDEST_COMPOSE)
        return [
            Check(
                name,
                Level.FAIL,
                f"Docker Compose {version} is too old",
                f"Install {oldest} or newer. {_COMPOSE_FIX}",
            )
        ]
    return [Check(name, Level.OK, f"Docker Compose {version.lstrip('v')}")]


def resource_checks(values: Mapping[str, str], services: Sequence[StackService]) -> list[Check]:
    """Memory of the engine's machine, and room where it keeps images and volumes."""
    client = _client()
    if client is None:
        return []
    facts = client.info()
    found = []
    there = int(facts.get("MemTotal", 0))
    text = values.get("CLIPSTACK_BENTOML_WORKERS", "")
    workers = int(text) if text.isdecimal() else 1
    needed = sum(one.needs * (workers if one.name == "bentoml" else 1) for one in services)
    if there:
        found.append(_memory(there, needed))
    root = Path(str(facts.get("DockerRootDir", "")))
    if containers.is_local() and root.is_absolute() and root.exists():
        found.append(_disk(root))
    return found


def _memory(there: int, needed: int) -> Check:
    said = f"Docker has {format_bytes(there)}, the services work with about {format_bytes(needed)}"
    if there >= needed:
        return Check("memory", Level.OK, said)
    return Check(
        "memory",
        Level.WARN,
        said,
        "Give Docker Desktop more in its settings under Resources, or expect services to be ended.",
    )


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(root).free
    said = f"{format_bytes(free)} free where Docker keeps its data, {root}"
    if free >= _DISK_WARN:
        return Check("disk", Level.OK, said)
    level = Level.FAIL if free < _DISK_FAIL else Level.WARN
    return Check(
        "disk",
        level,
        said,
        "`docker system df` shows what takes it, `docker image prune` removes unused images.",
    )


def port_checks(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """Each port is free, or this project's own; else who holds it and which variable to change."""
    bind = values["CLIPSTACK_BIND_ADDRESS"]
    client = _client()
    if client is not None and not containers.is_local():
        return []  # the ports are another machine's
    holders = Holders(client, project)
    taken: dict[int, str] = {}
    return [
        _port(service, port, values, bind, taken, holders)
        for service in services
        for port in service.ports
    ]


def _port(
    service: StackService,
    port: Port,
    values: Mapping[str, str],
    bind: str,
    taken: dict[int, str],
    holders: Holders,
) -> Check:
    text = values.get(port.variable, "")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        return Check(
            f"port {text}",
            Level.FAIL,
            f"{port.variable}={text} is no port",
            "Set it to a number from 1 to 65535.",
        )
    number = int(text)
    name = f"port {number}"
    wanted = f"{service.title} ({port.purpose})"

    def fix() -> str:
        used = {int(value) for key, value in values.items() if _is_port(key, value)}
        free = holders.next_free(bind, number + 1, used)
        return f"{port.variable}={free} clipstack up"

    if number in taken:
        said = f"{wanted} and {taken[number]} both ask for port {number}"
        return Check(name, Level.FAIL, said, fix())
    taken[number] = wanted
    if holders.is_own(number):
        return Check(name, Level.OK, f"{wanted}: held by this stack")
    error = holders.trouble(bind, number)
    if not error:
        return Check(name, Level.OK, f"{wanted}: free")
    if error == errno.EADDRINUSE:
        said = f"{wanted} needs port {number}, which {holders.who(number)} holds"
        return Check(name, Level.FAIL, said, fix())
    return Check(
        name,
        Level.FAIL,
        f"{bind} is no address of this machine",
        "Set CLIPSTACK_BIND_ADDRESS to 127.0.0.1, or to 0.0.0.0 to let others in.",
    )


def _is_port(name: str, value: str) -> bool:
    return name.endswith("_PORT") and value.isdecimal()


def image_checks(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """Each image is there, or will be fetched. The encoder's is made on this machine."""
    client = _client()
    if client is None:
        return []
    ids = image_ids(client, values, services)
    running = containers.containers(client, project)
    found = []
    for service in services:
        image = values[service.image]
        name = f"image {image}"
        if ids[service.name]:
            said = f"{service.title}: {image} is here"
            one = running.get(service.name)
            if one and one.image_id != ids[service.name]:
                said += ", another than the one that runs; `clipstack up` replaces it"
            found.append(Check(name, Level.OK, said))
        elif is_made_here(service, values):
            said = f"{service.title}: there is no image {image}"
            found.append(Check(name, Level.FAIL, said, build_line(values)))
        else:
            found.append(Check(name, Level.OK, f"{service.title}: {image} will be fetched"))
    return found


def image_ids(
    client: DockerClient, values: Mapping[str, str], services: Sequence[StackService]
) -> dict[str, str]:
    """The id of each service's image, "" for one that is not on this machine."""
    from docker.errors import DockerException

    found = {}
    for service in services:
        try:
            found[service.name] = str(client.api.inspect_image(values[service.image])["Id"])
        except DockerException:
            found[service.name] = ""
    return found


def is_made_here(service: StackService, values: Mapping[str, str]) -> bool:
    """Whether `clipstack build` makes the service's image, rather than a registry having it."""
    return service.name == "bentoml" and values.get("CLIPSTACK_BENTOML_PULL") == "never"


def build_line(values: Mapping[str, str]) -> str:
    """What to type to make the encoder's image."""
    tag = values["CLIPSTACK_BENTOML_IMAGE"]
    return "clipstack build" if tag == "bentoml:latest" else f"clipstack build --tag {tag}"


def _client() -> DockerClient | None:
    try:
        return containers.client()
    except PrerequisiteError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)
