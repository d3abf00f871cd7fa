"""A file's path in, a Milvus client on it out: the embedded target's one process at a time."""

from __future__ import annotations

import contextlib
import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, UsageError
from clipstack.index import faults, light
from clipstack.index.client import Client
from clipstack.index.engine import Engine
from clipstack.index.lock import Lock

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Milvus Lite's own rule for the file's name.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,33}\.db")
# pymilvus asks every 10 s whether a silent server is alive. The engine allows that every 5 minutes
# (gRPC's default): after half a minute of silence it would end the connection during the next call.
# pymilvus gives up after ten, which a machine with too much to do may need.
_CONNECT_SECONDS = 60.0
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1}


class Database(AbstractContextManager["Database"]):
    """The embedded Milvus on one file, open in this process alone until it is closed.

    Use as a context manager. `client` has the methods of a pymilvus MilvusClient.
    """

    def __init__(self, path: Path, *, wait: float) -> None:
        """Open `path`, made when it does not exist.

        Args:
            path: a file whose name ends in .db.
            wait: seconds to wait for another process that holds it.

        Raises:
            UsageError: the name is not one Milvus Lite takes, or the folder can't be made.
            UnreachableError: another process still holds the file.
            ClipstackError: the file is not a Milvus Lite database.
        """
        self.path = _checked(path)
        self._lock = Lock(self.path)
        self._lock.acquire(wait)
        try:
            self._server, client = _start(self.path)
            self.client = Client(client, str(self.path))
            self._lock.describe(server_pid=self._server.pid)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the engine and let the next process in."""
        with contextlib.suppress(Exception):
            self.client.close()
        self._server.stop()
        self._lock.release()


def _checked(path: Path) -> Path:
    path = path.expanduser().absolute()
    if not _NAME.fullmatch(path.name):
        raise UsageError(
            f"{path}: not a name for a database",
            hint="Name it with letters, digits, dots, - and _, at most 36 in all, ending in .db.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path.parent}: can't be made ({error.strerror})",
            hint="Choose another place with CLIPSTACK_DATABASE or `database` in clipstack.toml.",
        ) from None
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise ClipstackError(f"{path}: no permission to read and write the database")
    return path.resolve()


def _start(path: Path) -> tuple[Engine, MilvusClient]:
    server = Engine(path)
    try:
        light.warm_up()  # while the engine starts
        server.wait()
        options = {"timeout": _CONNECT_SECONDS, "grpc_options": _NO_PINGS}
        return server, light.client(uri=server.uri, **options)
    except BaseException as error:
        server.stop()
        fault = faults.of(error, str(path)) if isinstance(error, Exception) else None
        if fault is None:
            raise
        raise fault.error from None
