"""Ports of this machine: whether they are free, and what holds them."""

from __future__ import annotations

import errno
from collections.abc import Collection

from clipstack import net
from clipstack.stack import containers
from clipstack.stack.containers import PROJECT_LABEL

_FORWARDERS = ("docker-proxy", "com.docker.backend", "vpnkit", "rootlesskit")


class PortOwners:
    """The containers and programs that hold ports of this machine.

    Args:
        client: of the Docker daemon on this machine; None without Docker.
        project: the stack that is to start.
    """

    def __init__(self, client: containers.DockerClient | None, project: str) -> None:
        self._project = project
        self._published: dict[int, dict[str, str]] = {}
        for container in client.api.containers() if client else []:
            labels = container.get("Labels") or {}
            owner = {
                "name": container["Names"][0].lstrip("/"),
                "project": labels.get(PROJECT_LABEL, ""),
            }
            for port in container.get("Ports") or []:
                if port.get("PublicPort") and port.get("Type") == "tcp":
                    self._published[int(port["PublicPort"])] = owner

    def is_own(self, port: int) -> bool:
        """Whether a container of the stack itself holds a port."""
        return self._published.get(port, {}).get("project") == self._project

    def bind_error(self, address: str, port: int) -> int:
        """The errno of an attempt to listen on a port of `address`; 0 if Docker can."""
        try:
            net.bound_socket(address.strip("[]"), port).close()
        except PermissionError:  # Docker, which will open the port, may
            return 0
        except OSError as error:
            return error.errno or errno.EADDRNOTAVAIL
        return 0

    def next_free(self, address: str, port: int, used: Collection[int]) -> int:
        """The first free port from `port` on that is not among `used`."""
        for number in range(port, 65536):
            if number not in used and not self.bind_error(address, number):
                return number
        return port

    def describe(self, port: int) -> str:
        """What holds a port: a container and its stack, or a program and its process id."""
        container = self._published.get(port)
        if container:
            if container["project"]:
                return f"the container {container['name']} of the stack {container['project']}"
            return f"the container {container['name']}"
        return program(port) or "another program"


def program(port: int) -> str:
    """The program that listens on a port of this machine, with its process id; "" if unknown."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return ""
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port != port or connection.pid is None:
            continue
        try:
            name = psutil.Process(connection.pid).name()
        except psutil.Error:
            continue
        if name not in _FORWARDERS:
            return f"{name} (process {connection.pid})"
    return ""
