"""A connection to a Milvus server: the stack's, a cluster's, or a cloud's."""

from __future__ import annotations

import contextlib
import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from clipstack.errors import UnreachableError, UsageError
from clipstack.index.milvus import errors
from clipstack.index.milvus.client import LEAST_SECONDS, Client, grpc_options
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS, "" for those not needed.

    Attributes:
        ca: certificate of the authority that signed the server's certificate.
        cert, key: this client's own, if the server requires one.
        server_name: the name in the server's certificate, if it differs from the address.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Tls:
        """The files that the settings name."""
        return cls(settings.tls_ca, settings.tls_cert, settings.tls_key, settings.tls_server_name)

    def options(self) -> dict[str, Any]:
        """Keyword arguments for MilvusClient.

        Raises:
            UsageError: one of the files does not exist.
        """
        for path in (self.ca, self.cert, self.key):
            if path and not Path(path).is_file():
                raise UsageError(f"{path}: there is no such file, and TLS needs it")
        if self.cert:
            options = {
                "ca_pem_path": self.ca,
                "client_pem_path": self.cert,
                "client_key_path": self.key,
            }
        else:
            options = {"server_pem_path": self.ca} if self.ca else {}
        return options | ({"server_name": self.server_name} if self.server_name else {})


class MilvusConnection(AbstractContextManager["MilvusConnection"]):
    """A connection to a Milvus server, open until `close`.

    Use as a context manager.

    Attributes:
        client: has the methods of a pymilvus MilvusClient.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "",
        tls: Tls | None = None,
        wait: float,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Connect.

        Args:
            uri: http://host:port, or https:// for TLS.
            token: user:password or an API key, "" for none.
            database: of that server; "" for its default.
            wait: seconds to retry while the server does not answer.
            retry_policy: for a server that becomes unavailable later; `wait` by default.

        Raises:
            UsageError: the address is invalid, or a TLS file does not exist.
            NotFoundError: the server has no such database.
            UnreachableError: the server does not answer, or refuses the token.
        """
        parse_uri(uri)
        self.uri = uri
        options = (tls or Tls()).options()
        connected = _connect(self.uri, token, database, options, wait)
        self.client = Client(connected, self.uri, retry_policy or RetryPolicy(wait))
        if retry_policy:
            self.client.close_after(retry_policy.stop)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self.client.close()


def parse_uri(uri: str) -> SplitResult:
    """The parts of a server's address.

    Raises:
        UsageError: it is invalid.
    """
    try:
        parts = urlsplit(uri)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.scheme not in ("http", "https", "tcp"):
        raise UsageError(
            f"{uri!r} is not the address of a Milvus server",
            hint='Write it like "http://127.0.0.1:19530" or "http://[::1]:19530", '
            "or https:// for TLS.",
        )
    return parts


def host_and_port(uri: str) -> tuple[str, int]:
    """The host, without brackets, and the port of a server's address, as pymilvus reads them.

    Raises:
        UsageError: it is invalid.
    """
    parts = parse_uri(uri)
    port = parts.port or (443 if parts.scheme == "https" else 19530)
    return unquote(parts.hostname or ""), port


def _pymilvus_uri(uri: str) -> str:
    """The address as pymilvus can take it.

    pymilvus passes an IPv6 address to gRPC without its brackets, which gRPC refuses. gRPC decodes
    escaped brackets, and pymilvus does not know what they are.
    """
    host, port = host_and_port(uri)
    if ":" not in host:
        return uri
    parts = urlsplit(uri)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{quote(f'[{host}]', safe='')}:{port}").geturl()


def _connect(uri: str, token: str, database: str, tls: dict[str, Any], wait: float) -> MilvusClient:
    from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # its errors are raised, not logged
    options = grpc_options(*host_and_port(uri))
    deadline = time.monotonic() + wait
    while True:
        left = max(LEAST_SECONDS, deadline - time.monotonic())
        try:
            client = MilvusClient(
                uri=_pymilvus_uri(uri),
                token=token,
                db_name=database,
                timeout=min(_CONNECT_SECONDS, left),
                grpc_options=options,
                # pymilvus would reuse a shared connection, even with other TLS options.
                dedicated=True,
                **tls,
            )
            client.list_collections(timeout=max(LEAST_SECONDS, deadline - time.monotonic()))
            return client
        except Exception as error:
            failure = errors.translate_error(error, uri)
            if failure is None:
                raise
            if not failure.is_transient:
                raise failure.error from None
            if time.monotonic() + _PAUSE_SECONDS >= deadline:
                hint = "`clipstack health` says more; `clipstack up` starts the stack."
                raise UnreachableError(failure.error.message, hint=hint) from None
            time.sleep(_PAUSE_SECONDS)
