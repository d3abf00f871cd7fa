"""Addresses and ports of this machine."""

from __future__ import annotations

import errno
import ipaddress
import socket

from clipstack.errors import PrerequisiteError, UsageError


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, an address or a name."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def url_of(bind_address: str, port: int | str) -> str:
    """The URL by which this machine reaches what listens on `bind_address`, without a path."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind_address, bind_address)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{port}"


def bound_socket(address: str, port: int) -> socket.socket:
    """A TCP socket bound to an address or name of this machine.

    Raises:
        OSError: the port is taken or not allowed, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except BaseException:
        bound.close()
        raise
    return bound


def listening_socket(address: str, port: int, usual_port: int) -> socket.socket:
    """A TCP socket that listens on an address or name of this machine.

    Args:
        usual_port: the one to suggest where this user may not use `port`.

    Raises:
        PrerequisiteError: the port is taken, or this user may not listen on it.
        UsageError: this machine has no such address.
    """
    try:
        listening = bound_socket(address, port)
        listening.listen(128)
    except PermissionError:
        raise PrerequisiteError(
            f"this user may not listen on port {port}", hint=f"Add --port {usual_port}."
        ) from None
    except socket.gaierror:
        raise UsageError(f"{address!r} is no address of this machine") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"can't listen on {address}: {error.strerror}") from None
        raise PrerequisiteError(
            f"port {port} is taken",
            hint=f"Add `--port {port % 65535 + 1}`, or stop what uses it: "
            f"`lsof -i :{port}` names it.",
        ) from None
    return listening
