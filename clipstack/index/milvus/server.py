"""A connection to a Milvus server: the stack's, a cluster's, or a cloud's."""

from __future__ import annotations

import contextlib
import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from clipstack.errors import UnreachableError, UsageError
from clipstack.index.milvus import errors
from clipstack.index.milvus.client import Client, grpc_options
from clipstack.retry import RetryPolicy
from clipstack.settings import Settings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS, "" for those not needed.

    Attributes:
        ca: of the authority that signed the server's certificate.
        cert, key: this client's own, where the server asks for one.
        server_name: the name in the server's certificate, where it is not the address.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Tls:
        """As the settings name them."""
        return cls(settings.tls_ca, settings.tls_cert, settings.tls_key, settings.tls_server_name)

    def options(self) -> dict[str, Any]:
        """As MilvusClient takes them.

        Raises:
            UsageError: one of the files is not there.
        """
        for path in (self.ca, self.cert, self.key):
            if path and not Path(path).is_file():
                raise UsageError(f"{path}: there is no such file, and TLS needs it")
        if self.cert:
            named = {
                "ca_pem_path": self.ca,
                "client_pem_path": self.cert,
                "client_key_path": self.key,
            }
        else:
            named = {"server_pem_path": self.ca} if self.ca else {}
        return named | ({"server_name": self.server_name} if self.server_name else {})


class Server(AbstractContextManager["Server"]):
    """A client on a Milvus server, until it is closed.

    Use as a context manager. `client` has the methods of a pymilvus MilvusClient.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        database: str = "",
        tls: Tls | None = None,
        wait: float,
        patience: RetryPolicy | None = None,
    ) -> None:
        """Connect.

        Args:
            uri: http://host:port, or https:// for TLS.
            token: user:password or an API key, "" for none.
            database: of that server; "" for its default.
            wait: seconds to go on trying while it does not answer.
            patience: for when it goes away later; `wait` by default.

        Raises:
            UsageError: the address is none, or a TLS file is not there.
            NotFoundError: it has no such database.
            UnreachableError: nothing answers, or it refuses the token.
        """
        checked(uri)
        self.uri = uri
        options = (tls or Tls()).options()
        connected = _connect(self.uri, token, database, options, wait)
        self.client = Client(connected, self.uri, patience or RetryPolicy(wait))
        if patience:
            self.client.cut_off_after(patience.stop)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self.client.close()


def checked(uri: str) -> SplitResult:
    """The parts of a server's address.

    Raises:
        UsageError: it is none.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https", "tcp") or not parts.hostname:
        raise UsageError(
            f"{uri!r} is not the address of a Milvus server",
            hint='Write it like "http://127.0.0.1:19530", or https:// for TLS.',
        )
    return parts


def _connect(uri: str, token: str, database: str, tls: dict[str, Any], wait: float) -> MilvusClient:
    from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # errors are told by `faults`
    until = time.monotonic() + wait
    while True:
        try:
            client = MilvusClient(
                uri=uri,
                token=token,
                db_name=database,
                timeout=_CONNECT_SECONDS,
                grpc_options=grpc_options(),
                # A shared one would be kept, and found again whatever the TLS options are.
                dedicated=True,
                **tls,
            )
            client.list_collections(retry_times=0)
            return client
        except Exception as error:
            fault = errors.of(error, uri)
            if fault is None:
                raise
            if not fault.passing:
                raise fault.error from None
            if time.monotonic() >= until:
                hint = "`clipstack health` says more; `clipstack up` starts the stack."
                raise UnreachableError(fault.error.message, hint=hint) from None
            time.sleep(0.5)
