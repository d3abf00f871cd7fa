"""Connections of Docker's library by `docker system dial-stdio`.

Docker's own program knows TLS, contexts and ssh; what it connects to is what its commands use.
"""

from __future__ import annotations

import atexit
import socket
import tempfile
from collections.abc import Mapping
from typing import IO, Any

import urllib3
from requests.adapters import HTTPAdapter

from clipstack.stack import docker_cli

URL = "http://docker:1"
"""The address for Docker's library, whose requests `DialAdapter` answers for."""


class DialAdapter(HTTPAdapter):
    """Sends requests to the engine that `docker` uses with these variables.

    Args:
        environment: all variables of `docker`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it is shared by processes
        self._pool = _Pool("docker", maxsize=10, environment=environment, errors=self._errors)
        super().__init__()

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        """The connections, whatever the URL is."""
        return self._pool

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._pool.close()

    @property
    def error(self) -> str:
        """What `docker` said last when it could not connect, or ""."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last.rpartition("stderr=")[2]  # what ssh said, after its command line


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(
        self, *args: Any, environment: Mapping[str, str], errors: IO[bytes], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._environment, self._errors = environment, errors

    def connect(self) -> None:
        self.sock, other = socket.socketpair()
        with other:
            process = docker_cli.dial_stdio(self._environment, other, self._errors)
        # One that has not connected yet would not notice the end of this process.
        atexit.register(process.kill)
        self.sock.settimeout(self.timeout)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection
