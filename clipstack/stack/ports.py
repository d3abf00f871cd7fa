"""A port in; whether it is free, and if not, who holds it, out."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from typing import TYPE_CHECKING

from clipstack.stack.containers import PROJECT_LABEL, SERVICE_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

_FORWARDERS = ("docker-proxy", "com.docker.backend", "vpnkit", "rootlesskit")


class Holders:
    """Who holds the ports of this machine.

    Args:
        client: of the engine whose containers may hold some; None where there is none.
        project: the stack that is to start.
    """

    def __init__(self, client: DockerClient | None, project: str) -> None:
        self._project = project
        self._published: dict[int, dict[str, str]] = {}
        for one in client.api.containers() if client else []:
            labels = one.get("Labels") or {}
            facts = {
                "name": one["Names"][0].lstrip("/"),
                "project": labels.get(PROJECT_LABEL, ""),
                "service": labels.get(SERVICE_LABEL, ""),
            }
            for port in one.get("Ports") or []:
                if port.get("PublicPort") and port.get("Type") == "tcp":
                    self._published[int(port["PublicPort"])] = facts

    def is_own(self, port: int) -> bool:
        """Whether a container of the project itself holds it."""
        return self._published.get(port, {}).get("project") == self._project

    def trouble(self, address: str, port: int) -> int:
        """0 where `address` can be listened on, else the errno of the attempt."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.strip("[]"), port))
            except PermissionError:  # the engine, which will open the port, may
                return 0
            except OSError as error:
                return error.errno or errno.EADDRNOTAVAIL
        return 0

    def next_free(self, address: str, port: int, used: Collection[int]) -> int:
        """The first free port from `port` on that is not among `used`."""
        for number in range(port, 65536):
            if number not in used and not self.trouble(address, number):
                return number
        return port

    def who(self, port: int) -> str:
        """The holder in words: a container and its project, a program and its process id."""
        container = self._published.get(port)
        if container:
            if container["project"]:
                return f"the container {container['name']} of the stack {container['project']}"
            return f"the container {container['name']}"
        return _program(port) or "another program"


def _program(port: int) -> str:
    import psutil

    try:
        listening = psutil.net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return ""
    for one in listening:
        if one.status != psutil.CONN_LISTEN or not one.laddr or one.laddr.port != port:
            continue
        if one.pid is None:
            continue
        try:
            name = psutil.Process(one.pid).name()
        except psutil.Error:
            continue
        if name not in _FORWARDERS:
            return f"{name} (process {one.pid})"
    return ""
