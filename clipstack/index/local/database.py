"""The SQLite file of a local index: opened, its journal and schema chosen, its errors explained."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.index.local import access, schema
from clipstack.index.local.errors import DamagedError, explained, explained_os, unwritable
from clipstack.index.local.filesystem import (
    make_folder,
    network_type,
    sync_folder,
    vectors_folder,
)

_LEAST_SQLITE = (3, 38, 0)
"""The first with JSON functions in every build, STRICT tables and RETURNING."""
_PRAGMAS = (
    "cache_size = -16384",
    "wal_autocheckpoint = 0",
    "foreign_keys = ON",
    # A commit is durable when it returns. In WAL mode the default is not; with a rollback journal
    # it is only once the journal's end is durable, too.
    "synchronous = EXTRA",
    # Elsewhere than on macOS these do nothing.
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
)
_WAL_BYTES = 64 << 20
_WRITER_CACHE_KIB = 65_536
"""A large import touches most pages of the indexes of ids and digests with every transaction."""


@dataclass(slots=True)
class _Opened:
    """A connection, and how it was opened.

    Attributes:
        refusal: why nothing can be written through it.
        signature: of the files as they lay when it was opened; None when it shares them.
    """

    sqlite: sqlite3.Connection
    refusal: ClipstackError | None = None
    signature: access.Signature | None = None


class Database:
    """Connections to one SQLite file, one for each thread that asks.

    Where nothing can be written, or there is no room for what readers and writers share, the file
    is read as it lies, and opened anew when that changes.

    Args:
        path: of the file.
        wait: seconds to wait for another process that writes.
        create: make the file where there is none.

    Raises:
        UsageError: the file, or its folder, can't be made.
        ClipstackError: the file is of another program, of a newer clipstack, or damaged.
    """

    def __init__(self, path: Path, *, wait: float, create: bool = False) -> None:
        if sqlite3.sqlite_version_info < _LEAST_SQLITE:
            raise PrerequisiteError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed",
                hint="Use a newer Python; it brings SQLite with it.",
            )
        self.path = path
        self.wait = wait
        self._is_new = create and not access.is_there(path)
        self._lock = threading.Lock()
        self._connections: dict[int, _Opened] = {}
        self._unchecked = 0  # bytes of the WAL that a checkpoint could not put into the file
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            with contextlib.suppress(sqlite3.Error):
                connection.sqlite.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode."""
        return self._opened().sqlite

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written now."""
        return self._opened().refusal is not None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for all statements inside."""
        connection = self.connection
        with self.errors():
            if connection.in_transaction:
                yield connection
                return
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer runs beside; committed, durably, at the end.

        Raises:
            UnreachableError: another process goes on writing for longer than `wait`.
            ClipstackError: the database is read-only, or the disk is full.
        """
        opened = self._opened(anew=True)
        if opened.refusal:
            raise opened.refusal
        connection = opened.sqlite
        with self.errors():
            try:
                connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.rollback()
                raise
        self._checkpoint(connection)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises the errors of SQLite and of the disk that occur inside as ClipstackErrors."""
        try:
            yield
        except sqlite3.Error as error:
            raise explained(self.path, error, self.wait) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise explained_os(self.path, error) from error

    def journal_mode(self) -> str:
        """SQLite's journal: "wal", or "delete" on a network file system."""
        with self.errors():
            return str(self.connection.execute("PRAGMA journal_mode").fetchone()[0])

    def choose_journal(self) -> None:
        """Go over to the journal that suits the file system, unless others have the file open."""
        if self.journal_mode() == _journal_for(self.path) or self.read_only:
            return
        with contextlib.suppress(sqlite3.OperationalError):
            self.connection.execute(f"PRAGMA journal_mode = {_journal_for(self.path)}").fetchall()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Put the WAL into the file when it is large.

        SQLite's own checkpoints run beside writers; until 3.51.3 two of those and a writer could
        lose pages (https://www.sqlite.org/wal.html#walresetbug). This one keeps writers out.
        """
        size = access.size(self.path, "-wal")
        if size < _WAL_BYTES + self._unchecked:
            return
        with contextlib.suppress(sqlite3.OperationalError):  # the WAL stays, and is tried again
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._unchecked = access.size(self.path, "-wal")

    def _open(self) -> None:
        if self._is_new:
            try:
                make_folder(self.path.parent)
            except OSError as error:
                raise UsageError(
                    f"{self.path.parent}: can't be made ({error.strerror})",
                    hint="Choose another place with CLIPSTACK_DATABASE, or `database` in a "
                    "settings file.",
                ) from None
        with self.errors():
            if self.path.is_dir():
                raise UsageError(
                    f"{self.path}: is a folder, not a database",
                    hint="Name a file with CLIPSTACK_DATABASE, or `database` in a settings file.",
                )
            self._prepare(self.connection)
        self._is_new = False

    def _opened(self, *, anew: bool = False) -> _Opened:
        """This thread's connection.

        Args:
            anew: open it again where it was read as it lay: it may be writable by now.
        """
        thread = threading.get_ident()
        opened = self._connections.get(thread)
        if opened and opened.signature and not opened.sqlite.in_transaction:
            changed = anew or opened.signature != access.signature(self.path)
            if changed:
                opened.sqlite.close()
                opened = None
        if opened is None:
            opened = self._connect()
            with self._lock:
                self._connections[thread] = opened
        return opened

    def _connect(self) -> _Opened:
        there = access.is_there(self.path)
        writable = not there or os.access(self.path, os.W_OK)
        refusal = None if writable else unwritable(self.path)
        # A reader that shares the WAL makes files beside it, which its writer can't use if they
        # are another user's.
        if writable or access.is_used(self.path):
            try:
                return _Opened(self._sqlite(access.shared(create=self._is_new)), refusal)
            except sqlite3.Error as error:
                if not there or not access.is_about_the_place(error):
                    raise explained(self.path, error, self.wait) from error
                refusal = unwritable(self.path)
                if access.is_about_the_disk(error):
                    refusal = explained(self.path, error, self.wait)
        signature = access.signature(self.path)
        with self.errors():
            return _Opened(self._sqlite(access.as_it_lies(self.path)), refusal, signature)

    def _sqlite(self, way: access.Access) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{way.query}",
            uri=True,
            timeout=self.wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if way.alone:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check whose file it is, and bring its schema up to date."""
        with self.reading():
            version = self._version(connection)
        if version < len(schema.MIGRATIONS):
            self._migrate(connection)
        # Also says whether the file can be read at all, in WAL mode.
        connection.execute("SELECT count(*) FROM collections").fetchone()

    def _version(self, connection: sqlite3.Connection) -> int:
        """The version of the schema; 0 of an empty file."""
        if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
            self._require_empty(connection)
            return 0
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(schema.MIGRATIONS):
            raise ClipstackError(
                f"{self.path}: made by a newer clipstack (schema {version}, this one knows "
                f"{len(schema.MIGRATIONS)})",
                hint="Upgrade clipstack, or use another file with CLIPSTACK_DATABASE.",
            )
        return version

    def _require_empty(self, connection: sqlite3.Connection) -> None:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        if "collection_meta" in names:
            raise ClipstackError(
                f"{self.path}: a Milvus Lite database of an earlier clipstack, which this one does "
                "not read",
                hint="Move it away and import your pictures again, or name another file with "
                "CLIPSTACK_DATABASE.",
            )
        if names:
            raise ClipstackError(
                f"{self.path}: an SQLite database of another program",
                hint="Name another file with CLIPSTACK_DATABASE.",
            )
        vectors = vectors_folder(self.path)
        if not self._is_new and any(vectors.glob("*.f32")):
            raise DamagedError(
                f"{self.path}: is empty, but the vectors of its collections lie in {vectors}",
                hint="Restore a copy of it; or move both away and import again.",
            )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Take the schema forward, step by step, in one transaction."""
        if self.read_only:
            raise unwritable(self.path)
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._set_first_journal(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = connection.execute("PRAGMA user_version").fetchone()[0]
            for step in schema.MIGRATIONS[done:]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        sync_folder(self.path.parent)

    def _set_first_journal(self, connection: sqlite3.Connection) -> None:
        """Choose the journal of an empty file; SQLite does not wait for others that do the same."""
        until = time.monotonic() + self.wait
        while True:
            try:
                connection.execute(f"PRAGMA journal_mode = {_journal_for(self.path)}").fetchall()
                return
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > until:
                    raise
                time.sleep(0.01)


def _journal_for(path: Path) -> str:
    """The journal that suits the file system: "wal", or "delete" where machines share it."""
    return "delete" if network_type(path.parent) else "wal"
