"""Real proxies and relays in this process, which record the connections that they are asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

VARIABLES = ("http", "https", "grpc", "all", "no", "no_grpc")
"""Names of the environment's variables for proxies, without `_proxy`."""


class Proxy:
    """A proxy for HTTP (CONNECT and whole URLs) and SOCKS5, on a port of 127.0.0.1.

    Args:
        routes: where connections to a name go, as `host:port` by name; all others go to the
            address that they ask for.

    Attributes:
        requests: `KIND host:port` of each connection, KIND being CONNECT, GET and so on, or SOCKS5.
    """

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._routes = routes
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        self.requests: list[str] = []
        _serve(self._listening, self._handle)

    def close(self) -> None:
        self._listening.close()

    @property
    def hosts(self) -> list[str]:
        """The hosts that connections asked for, sorted."""
        return sorted({request.split()[1].rpartition(":")[0] for request in self.requests})

    def _handle(self, client: socket.socket) -> None:
        first = client.recv(1, socket.MSG_PEEK)
        if first == b"\5":
            self._socks(client)
        elif first:
            self._http(client)

    def _http(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(65536)
            if not data:
                return
            head += data
        line, _, rest = head.partition(b"\r\n")
        method, url, version = line.decode().split()
        if method == "CONNECT":
            with self._connected(method, url) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                pump(client, server)
            return
        parts = urlsplit(url)
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        with self._connected(method, f"{parts.hostname}:{parts.port or 80}") as server:
            # One request a connection, or the next one's URL would be passed on unread.
            rest = rest.replace(b"Connection: keep-alive", b"Connection: close")
            server.sendall(f"{method} {path} {version}\r\n".encode() + rest)
            pump(client, server)

    def _socks(self, client: socket.socket) -> None:
        """https://www.rfc-editor.org/rfc/rfc1928"""
        client.recv(2 + client.recv(2, socket.MSG_PEEK)[1])
        client.sendall(b"\5\0")
        _, _, _, kind = _exactly(client, 4)
        if kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _exactly(client, size))
        port = int.from_bytes(_exactly(client, 2))
        with self._connected("SOCKS5", f"{host}:{port}") as server:
            client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
            pump(client, server)

    def _connected(self, kind: str, address: str) -> socket.socket:
        self.requests.append(f"{kind} {address}")
        host, _, port = address.rpartition(":")
        return _connect(self._routes.get(host, f"{host}:{port}"))


@contextlib.contextmanager
def recording_proxy(routes: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """A Proxy, closed at the end."""
    proxy = Proxy(routes or {})
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def relay(address: str, to: str) -> Iterator[int]:
    """A port of `address` whose connections go on to `to`, which is `host:port`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, backlog=64) as listening:

        def handle(client: socket.socket) -> None:
            with _connect(to) as server:
                pump(client, server)

        _serve(listening, handle)
        yield listening.getsockname()[1]


def pump(client: socket.socket, server: socket.socket) -> None:
    """Pass on what either side sends, until both have closed."""
    thread = threading.Thread(target=_copy, args=(server, client), daemon=True)
    thread.start()
    _copy(client, server)
    thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _serve(listening: socket.socket, handle: Callable[[socket.socket], None]) -> None:
    """Handle each connection in a thread, until the socket is closed."""

    def guarded(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            handle(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=guarded, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise OSError("the client went away")
        data += part
    return data


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=120)
