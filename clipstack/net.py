"""Addresses and ports, and the proxies by which others are reached.

Every connection that clipstack opens asks `proxy_for` here: HTTP by `clipstack.http_client`, gRPC
by `clipstack.index.milvus.connection`.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from urllib.parse import urlsplit

from clipstack.errors import PrerequisiteError, UsageError

_GRPC = ("grpc", "https", "http", "all")
"""The variables that gRPC reads, in its order, without `_proxy`; and ALL_PROXY, as HTTP does:
https://grpc.github.io/grpc/core/md_doc_environment_variables.html"""
_direct_hosts: set[str] = set()


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that `host` is, in brackets or without; None for a name."""
    try:
        return ipaddress.ip_address(bare(host))
    except ValueError:
        return None


def bare(host: str) -> str:
    """An address without the brackets that URLs put around IPv6."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_and_port(host: str, port: int | str) -> str:
    """`host:port`, with the brackets that IPv6 needs."""
    host = bare(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, an address or a name."""
    address = ip_address(host)
    if address is None:
        return host.lower().rstrip(".") == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_unspecified(host: str) -> bool:
    """Whether to listen on `host` is to listen on all addresses of this machine."""
    address = ip_address(host)
    return not host or (address is not None and address.is_unspecified)


def url_of(bind_address: str, port: int | str) -> str:
    """The URL by which this machine reaches what listens on `bind_address`, without a path."""
    host = bind_address
    if is_unspecified(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://{host_and_port(host, port)}"


def reach_directly(url: str) -> None:
    """Never use a proxy for the host of `url`: it belongs to the stack."""
    _direct_hosts.add((urlsplit(url).hostname or "").lower())


def proxy_for(url: str) -> str:
    """The URL of the proxy by which to reach `url`; "" to connect to it directly.

    Loopback and the stack's own hosts have none. Others have that of http_proxy, https_proxy or
    all_proxy, unless no_proxy names them, in lower or upper case. In no_proxy stand names, which
    mean what ends with them too, addresses, networks such as 10.0.0.0/8, or "*".

    Raises:
        UsageError: it is not the URL of a proxy that can be used.
    """
    parts = urlsplit(url)
    return _proxy(parts.hostname or "", parts.port, (parts.scheme, "all"), ("no",))


def grpc_proxy_for(host: str, port: int) -> str:
    """The proxy by which gRPC is to reach a server, as `proxy_for` does.

    grpc_proxy and no_grpc_proxy come before the variables for HTTP.

    Raises:
        UsageError: gRPC can't use it.
    """
    proxy = _proxy(host, port, _GRPC, ("no_grpc", "no"))
    if proxy and urlsplit(proxy).scheme != "http":
        raise UsageError(
            f"Milvus at {host} can't be reached by the proxy {_without_password(proxy)}: "
            "gRPC only knows proxies with http://",
            hint=f"Set grpc_proxy=http://HOST:PORT, or no_grpc_proxy={host} to connect directly.",
        )
    return proxy


def _proxy(host: str, port: int | None, names: tuple[str, ...], exceptions: tuple[str, ...]) -> str:
    """The first of the environment's `names`_proxy, unless the first of `exceptions` has `host`."""
    if is_loopback(host) or host.lower() in _direct_hosts:
        return ""
    import urllib.request  # takes 80 ms

    proxies = urllib.request.getproxies()
    name = next((name for name in names if proxies.get(name)), None)
    if name is None:
        return ""
    excepted = next((proxies[name] for name in exceptions if name in proxies), None)
    if excepted is None:
        is_excepted = bool(urllib.request.proxy_bypass(host))  # that of the system's settings
    else:
        is_excepted = _matches(host, port, excepted)
    return "" if is_excepted else _checked_proxy(proxies[name], name)


def _matches(host: str, port: int | None, excepted: str) -> bool:
    """Whether a list of names, addresses and networks has a host."""
    address = ip_address(host)
    for entry in excepted.lower().replace(",", " ").split():
        if entry == "*":
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(bare(entry), strict=False):
                    return True
            except ValueError:
                pass
        name, colon, entry_port = entry.rpartition(":")
        if not colon or not entry_port.isdecimal():
            name = entry
        elif entry_port != str(port):
            continue
        name = bare(name).removeprefix("*").removeprefix(".")
        if host.lower() == name or (address is None and host.lower().endswith(f".{name}")):
            return True
    return False


def _checked_proxy(proxy: str, name: str) -> str:
    url = proxy if "://" in proxy else f"http://{proxy}"
    scheme, _, rest = url.partition("://")
    scheme = {"socks": "socks5"}.get(scheme.lower(), scheme.lower())
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or scheme not in ("http", "https", "socks5", "socks5h"):
        raise UsageError(
            f"{name}_proxy={_without_password(proxy)} is not the URL of a proxy that can be used",
            hint="Write it like http://HOST:PORT or socks5://HOST:PORT.",
        )
    return f"{scheme}://{rest}"


def _without_password(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def bound_socket(address: str, port: int) -> socket.socket:
    """A TCP socket bound to an address or name of this machine.

    Raises:
        OSError: the port is taken or not allowed, or this machine has no such address.
    """
    resolved = socket.getaddrinfo(
        bare(address) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, socket_address = min(resolved)  # IPv4 for a name that has both
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(socket_address)
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
