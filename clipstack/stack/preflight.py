"""Checks of what keeps a stack from starting.

They return Checks and raise nothing: what can't be checked is left out.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clipstack import net
from clipstack.errors import PrerequisiteError
from clipstack.settings.stack_variables import BIND_ADDRESS
from clipstack.stack import containers, docker_cli, endpoint
from clipstack.stack.check import Check, Level
from clipstack.stack.ports import PortOwners
from clipstack.stack.services import Port, StackService
from clipstack.units import format_bytes

OLDEST_DOCKER = (20, 10)
OLDEST_COMPOSE = (2, 20, 2)  # depends_on with `required: false`
_COMPOSE_FIX = (
    "Docker Desktop has it. On Linux install the package docker-compose-plugin, or "
    "docker-compose-v2 where the distribution calls it that: "
    "https://docs.docker.com/compose/install/linux/"
)
_GB = 1e9
_DISK_WARN, _DISK_FAIL = 5 * _GB, 1 * _GB


@containers.translate_errors()
def all_checks(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """All checks; only those of Docker where it can't be used."""
    checks = docker_checks()
    checks += [] if failures(checks) else compose_checks()
    if failures(checks):
        return checks
    checks += resource_checks(values, services)
    checks += address_checks(values) or port_checks(project, values, services)
    return checks + image_checks(project, values, services)


def failures(checks: Iterable[Check]) -> list[Check]:
    """The checks that failed."""
    return [check for check in checks if check.level is Level.FAIL]


def docker_checks() -> list[Check]:
    """Docker is installed, running, usable by this user, and new enough."""
    name = "Docker"
    try:
        client = containers.client()
    except PrerequisiteError as error:
        return [Check(name, Level.FAIL, error.message, error.hint)]
    version = str(client.version().get("Version", ""))
    if _numbers(version) < OLDEST_DOCKER:
        return [
            Check(
                name,
                Level.FAIL,
                f"Docker {version} is too old",
                f"Install {_dotted(OLDEST_DOCKER)} or newer: https://docs.docker.com/engine/install/",
            )
        ]
    return [Check(name, Level.OK, f"Docker {version} is running: {endpoint.current()}")]


def compose_checks() -> list[Check]:
    """Compose is installed and new enough."""
    name = "Compose"
    if not shutil.which("docker"):
        return []
    process = docker_cli.run_docker("compose", "version", "--format", "json")
    try:
        version = str(json.loads(process.stdout if process else "")["version"])
    except (ValueError, KeyError, TypeError):
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
    """Memory of Docker's machine, and free space where it keeps images and volumes."""
    client = _client()
    if client is None:
        return []
    info = client.info()
    checks = []
    total = int(info.get("MemTotal", 0))
    text = values.get("CLIPSTACK_BENTOML_WORKERS", "")
    workers = int(text) if text.isdecimal() else 1
    needed = sum(
        service.memory_needed * (workers if service.name == "bentoml" else 1)
        for service in services
    )
    if total:
        checks.append(_memory(total, needed))
    root = Path(str(info.get("DockerRootDir", "")))
    if endpoint.current().is_local and root.is_absolute() and root.exists():
        checks.append(_disk(root))
    return checks


def _memory(total: int, needed: int) -> Check:
    message = f"Docker has {format_bytes(total)}, the services need about {format_bytes(needed)}"
    if total >= needed:
        return Check("memory", Level.OK, message)
    return Check(
        "memory",
        Level.WARN,
        message,
        "Give Docker Desktop more in its settings under Resources, or services may be killed.",
    )


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(root).free
    message = f"{format_bytes(free)} free where Docker keeps its data, {root}"
    if free >= _DISK_WARN:
        return Check("disk", Level.OK, message)
    level = Level.FAIL if free < _DISK_FAIL else Level.WARN
    return Check(
        "disk",
        level,
        message,
        "`docker system df` shows what uses it, `docker image prune` removes unused images.",
    )


def address_checks(values: Mapping[str, str]) -> list[Check]:
    """What is wrong with the address that the services are to listen on; nothing if it is right."""
    address = values[BIND_ADDRESS]
    error = ""
    if net.ip_address(address) is None:
        error = "not an IP address"
    elif not endpoint.current().remote_host:
        try:
            net.bound_socket(address, 0).close()
        except OSError:
            error = "not an address of this machine"
    fix = f"Set {BIND_ADDRESS} to 127.0.0.1 or ::1, or to 0.0.0.0 to let others in."
    message = f"{BIND_ADDRESS}={address} is {error}"
    return [Check("address", Level.FAIL, message, fix)] if error else []


def port_checks(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """Each port is free, or used by this stack; else who uses it and which variable to change."""
    bind = values[BIND_ADDRESS]
    client = _client()
    if client is not None and endpoint.current().remote_host:
        return []  # the ports are another machine's
    owners = PortOwners(client, project)
    requested: dict[int, str] = {}
    return [
        _port(service, port, values, bind, requested, owners)
        for service in services
        for port in service.ports
    ]


def _port(
    service: StackService,
    port: Port,
    values: Mapping[str, str],
    bind: str,
    requested: dict[int, str],
    owners: PortOwners,
) -> Check:
    text = values.get(port.variable, "")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        return Check(
            f"port {text}",
            Level.FAIL,
            f"{port.variable}={text} is not a port",
            "Set it to a number from 1 to 65535.",
        )
    number = int(text)
    name = f"port {number}"
    user = f"{service.title} ({port.purpose})"

    def fix() -> str:
        used = {int(value) for key, value in values.items() if _is_port(key, value)}
        free = owners.next_free(bind, number + 1, used)
        return f"{port.variable}={free} clipstack up"

    if number in requested:
        message = f"{user} and {requested[number]} both ask for port {number}"
        return Check(name, Level.FAIL, message, fix())
    requested[number] = user
    if owners.is_own(number):
        return Check(name, Level.OK, f"{user}: held by this stack")
    error = owners.bind_error(bind, number)
    if not error:
        return Check(name, Level.OK, f"{user}: free")
    if error == errno.EADDRINUSE:
        message = f"{user} needs port {number}, which {owners.describe(number)} holds"
        return Check(name, Level.FAIL, message, fix())
    return Check(
        name,
        Level.FAIL,
        f"{bind} is not an address of this machine",
        "Set CLIPSTACK_BIND_ADDRESS to 127.0.0.1, or to 0.0.0.0 to let others in.",
    )


def _is_port(name: str, value: str) -> bool:
    return name.endswith("_PORT") and value.isdecimal()


def image_checks(
    project: str, values: Mapping[str, str], services: Sequence[StackService]
) -> list[Check]:
    """Each image is on Docker's machine, or will be fetched; the encoder's has to be built."""
    client = _client()
    if client is None:
        return []
    by_name = containers.list_containers(client, project)
    checks = []
    for service in services:
        image = values[service.image_variable]
        name = f"image {image}"
        image_id = containers.image_id(client, image)
        if image_id:
            message = f"{service.title}: {image} is here"
            container = by_name.get(service.name)
            if container and container.image_id != image_id:
                message += ", not the one that runs; `clipstack up` replaces it"
            checks.append(Check(name, Level.OK, message))
        elif is_built_locally(service, values):
            message = f"{service.title}: there is no image {image}"
            checks.append(Check(name, Level.FAIL, message, build_command(values)))
        else:
            checks.append(Check(name, Level.OK, f"{service.title}: {image} will be fetched"))
    return checks


def is_built_locally(service: StackService, values: Mapping[str, str]) -> bool:
    """Whether the service's image comes from `clipstack build`, not from a registry."""
    return service.name == "bentoml" and values.get("CLIPSTACK_BENTOML_PULL") == "never"


def build_command(values: Mapping[str, str]) -> str:
    """The command that builds the encoder's image."""
    tag = values["CLIPSTACK_BENTOML_IMAGE"]
    return "clipstack build" if tag == "bentoml:latest" else f"clipstack build --tag {tag}"


def _client() -> containers.DockerClient | None:
    try:
        return containers.client()
    except PrerequisiteError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)
