"""The SQLite database of a local index: connections, journal mode, schema and errors."""

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
from clipstack.index.local import open_mode, schema
from clipstack.index.local.errors import (
    DamagedError,
    is_disk_error,
    is_environment_error,
    primary_code,
    read_only_error,
    translate_os_error,
    translate_sqlite_error,
)
from clipstack.index.local.filesystem import (
    make_folder,
    network_filesystem,
    sync_folder,
    vectors_folder,
)

_MIN_SQLITE_VERSION = (3, 38, 0)
"""The first version with JSON functions in every build, STRICT tables and RETURNING."""
_PRAGMAS = (
    "cache_size = -16384",
    "wal_autocheckpoint = 0",
    "foreign_keys = ON",
    # A commit is durable when it returns. By default, it is not in WAL mode; with a rollback
    # journal, it is only once the deletion of the journal is durable, too.
    "synchronous = EXTRA",
    # These have an effect on macOS only.
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
)
_WAL_BYTES = 64 << 20
_WRITER_CACHE_KIB = 65_536
"""Every transaction of a large import touches most pages of the indexes on ids and digests."""


@dataclass(slots=True)
class _Connection:
    """A connection, and how it was opened.

    Attributes:
        write_error: why nothing can be written through it; None if it can be written to.
        opened_stats: `file_stats` when a read-only file was opened; None if the file is shared.
    """

    sqlite: sqlite3.Connection
    write_error: ClipstackError | None = None
    opened_stats: open_mode.FileStats | None = None


class Database:
    """Connections to one SQLite file, one per thread.

    If nothing can be written, or there is no room for the files that readers and writers share, the
    file is opened read-only, and opened again when it changes.

    Args:
        path: of the file.
        wait: seconds to wait for another process that writes.
        create: create the file if it does not exist.

    Raises:
        UsageError: the file, or its folder, can't be created.
        ClipstackError: the file is damaged, or belongs to another program or a newer clipstack.
    """

    def __init__(self, path: Path, *, wait: float, create: bool = False) -> None:
        if sqlite3.sqlite_version_info < _MIN_SQLITE_VERSION:
            raise PrerequisiteError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed",
                hint="Use a newer Python; it brings SQLite with it.",
            )
        self.path = path
        self.wait = wait
        self._is_new = create and not open_mode.exists(path)
        self._lock = threading.Lock()
        self._connections: dict[int, _Connection] = {}
        self._uncheckpointed_bytes = 0  # of the WAL, after the last checkpoint
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
        return self._thread_connection().sqlite

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written at the moment."""
        return self._thread_connection().write_error is not None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: all statements inside see one snapshot."""
        connection = self.connection
        with self.translate_errors():
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
        """A write transaction, the only one at its time; committed durably at the end.

        Raises:
            UnreachableError: another process writes for longer than `wait`.
            ClipstackError: the database is read-only, or the disk is full.
        """
        thread_connection = self._thread_connection(reopen=True)
        if thread_connection.write_error:
            raise thread_connection.write_error
        connection = thread_connection.sqlite
        with self.translate_errors():
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
    def translate_errors(self) -> Iterator[None]:
        """Raise errors of SQLite and of the disk as ClipstackErrors."""
        try:
            yield
        except sqlite3.Error as error:
            raise translate_sqlite_error(self.path, error, self.wait) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise translate_os_error(self.path, error) from error

    def journal_mode(self) -> str:
        """SQLite's journal mode: "wal", or "delete" on a network file system."""
        with self.translate_errors():
            return str(self.connection.execute("PRAGMA journal_mode").fetchone()[0])

    def choose_journal(self) -> None:
        """Switch to the journal mode for the file system, unless others have the file open."""
        if self.journal_mode() == _journal_for(self.path) or self.read_only:
            return
        with contextlib.suppress(sqlite3.OperationalError):
            self.connection.execute(f"PRAGMA journal_mode = {_journal_for(self.path)}").fetchall()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Checkpoint the WAL when it is large.

        SQLite's automatic checkpoints run concurrently with writers; until 3.51.3 two of them and a
        writer could lose pages (https://www.sqlite.org/wal.html#walresetbug). TRUNCATE blocks
        writers.
        """
        size = open_mode.file_size(self.path, "-wal")
        if size < _WAL_BYTES + self._uncheckpointed_bytes:
            return
        with contextlib.suppress(sqlite3.OperationalError):  # the WAL stays; tried again later
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._uncheckpointed_bytes = open_mode.file_size(self.path, "-wal")

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
        with self.translate_errors():
            if self.path.is_dir():
                raise UsageError(
                    f"{self.path}: is a folder, not a database",
                    hint="Name a file with CLIPSTACK_DATABASE, or `database` in a settings file.",
                )
            self._check_schema(self.connection)
        self._is_new = False

    def _thread_connection(self, *, reopen: bool = False) -> _Connection:
        """This thread's connection.

        Args:
            reopen: open a read-only file again: it may be writable by now.
        """
        thread = threading.get_ident()
        connection = self._connections.get(thread)
        if connection and connection.opened_stats and not connection.sqlite.in_transaction:
            changed = reopen or connection.opened_stats != open_mode.file_stats(self.path)
            if changed:
                connection.sqlite.close()
                connection = None
        if connection is None:
            connection = self._connect()
            with self._lock:
                self._connections[thread] = connection
        return connection

    def _connect(self) -> _Connection:
        exists = open_mode.exists(self.path)
        writable = not exists or os.access(self.path, os.W_OK)
        write_error = None if writable else read_only_error(self.path)
        # A reader that shares the WAL creates files beside it, which the writer can't use if they
        # belong to another user.
        if writable or open_mode.has_shared_memory(self.path):
            try:
                return _Connection(
                    self._connect_sqlite(open_mode.read_write(create=self._is_new)), write_error
                )
            except sqlite3.Error as error:
                if not exists or not is_environment_error(error):
                    raise translate_sqlite_error(self.path, error, self.wait) from error
                write_error = read_only_error(self.path)
                if is_disk_error(error):
                    write_error = translate_sqlite_error(self.path, error, self.wait)
        stats = open_mode.file_stats(self.path)
        with self.translate_errors():
            return _Connection(
                self._connect_sqlite(open_mode.read_only(self.path)), write_error, stats
            )

    def _connect_sqlite(self, mode: open_mode.OpenMode) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode.query}",
            uri=True,
            timeout=self.wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if mode.exclusive:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        """Check that the file is clipstack's, and bring its schema up to date."""
        with self.reading():
            version = self._schema_version(connection)
        if version < len(schema.MIGRATIONS):
            self._migrate(connection)
        # In WAL mode, this also checks that the file can be read at all.
        connection.execute("SELECT count(*) FROM collections").fetchone()

    def _schema_version(self, connection: sqlite3.Connection) -> int:
        """The version of the schema; 0 for an empty file."""
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
        """Apply the missing migrations in one transaction."""
        if self.read_only:
            raise read_only_error(self.path)
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._set_initial_journal(connection)
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

    def _set_initial_journal(self, connection: sqlite3.Connection) -> None:
        """Set the journal mode of an empty file; SQLite does not wait for others that do so too."""
        deadline = time.monotonic() + self.wait
        while True:
            try:
                connection.execute(f"PRAGMA journal_mode = {_journal_for(self.path)}").fetchall()
                return
            except sqlite3.OperationalError as error:
                is_busy = primary_code(error) == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _journal_for(path: Path) -> str:
    """The journal mode for the file system: "delete" if machines share it, else "wal"."""
    return "delete" if network_filesystem(path.parent) else "wal"
