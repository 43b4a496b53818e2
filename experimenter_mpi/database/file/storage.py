"""One database file while it is in use: who may write, and where transactions end.

A handle that is not writing has the file open read-only, so that it can do no harm
even where file locks do not work; it is opened for writing only under the lock.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from ...encoding.linked import ArrayFolder
from ...errors import (
    CorruptDocumentError,
    DatabaseError,
    DatabaseLockedError,
    DatabaseWriteError,
)
from ..files import files_in
from ..runs import end_open_runs
from . import engine, failures, filesystem
from .descriptors import Identity, identity, require_one_name
from .guard import Guard
from .header import has_cold_journal, has_wal, is_wal, names_other_file
from .lock import WriterLock
from .properties import stored_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

_REPAIRS = 3
# How long a commit waits for readers between looks at signals and the lock.
BLOCKED_SECONDS = 1.0
# A transaction this long may be one of a process that stood still.
STILL_SECONDS = 1.0


class Storage:
    """The connection to one database, shared by the threads that use its handle."""

    def __init__(
        self,
        path: str | None,
        *,
        read_only: bool = False,
        allow_pickle: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.allow_pickle = allow_pickle
        self.notices: list[str] = []
        self._listener: Callable[[str], None] | None = None
        self.database_id: str | None = None  # until it is read, or made
        self.was_upgraded = False
        self._arrays = None if path is None else ArrayFolder(path, stored_id)
        self.files = None if self._arrays is None else files_in(self._arrays)
        self.arrays_folder = None if self.files is None else self.files.folder
        self._lock = None if path is None else WriterLock(path, self.note)
        self._guard = Guard()
        self._sessions = 0
        self._in_transaction = False
        self._wants_wal = False
        self._uses_wal = False
        self._is_immutable = False
        self._file: Identity | None = None
        self._closed = False
        self._connection = engine.connect_memory() if path is None else None

    @property
    def name(self) -> str:
        """What messages call the database."""
        return self.path or "the in-memory database"

    @property
    def lock_token(self) -> str | None:
        """What the lock file says while this handle writes."""
        return self._lock.token if self._lock and self._sessions else None

    def is_locked(self) -> bool:
        """Whether someone who lives, as far as one sees, holds the writer's lock."""
        return self._lock is not None and self._lock.is_held()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Provide a connection that sees one state of the database."""
        with self._guard, failures.translated(self.path, "read"):
            if self._in_transaction:
                yield self._connected()
                return
            connection = self._begin_reading()
            self._in_transaction = True
            try:
                yield connection
            finally:
                self._in_transaction = False
                engine.roll_back(connection)
                if self._is_immutable:  # true for now only: a writer may come
                    self._disconnect()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Provide a connection whose changes are durable together, or not at all."""
        with self._guard, self._session(), failures.translated(self.path, "written"):
            if self._in_transaction:
                yield self._connected()
                return
            if self._lock is not None:
                self._lock.check()
            self._require_same_file()
            if self._wants_wal:  # a reader from before the run may be gone by now
                self._use_wal()
            connection = self._connected()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            self._in_transaction, began = True, time.monotonic()
            try:
                # Pages that do not fit into the cache are kept while a reader is there.
                if not self._uses_wal:
                    engine.wait_at_most(connection, 0)
                yield connection
                self._commit(connection, began)
            except BaseException:
                engine.roll_back(connection)
                raise
            finally:
                self._in_transaction = False
                if not self._uses_wal:
                    engine.wait_at_most(connection, engine.BUSY_SECONDS)

    def _commit(self, connection: Connection, began: float) -> None:
        """Commit, however long a reader keeps the file: its results are worth more."""
        if self._lock is not None and time.monotonic() - began > STILL_SECONDS:
            self._lock.check()
        if engine.try_commit(connection):
            return
        engine.wait_at_most(connection, BLOCKED_SECONDS)
        if engine.try_commit(connection):
            return
        self.note(
            f"a reader keeps {self.name} locked, so results wait in memory: close the "
            "program that has it open, or give it a copy of the file"
        )
        began = time.monotonic()
        while not engine.try_commit(connection):
            if self._lock is not None:
                self._lock.check()
        waited = time.monotonic() - began
        self.note(
            f"{self.name} was unlocked after {waited:.0f} s, and the results are stored"
        )

    def note(self, text: str) -> None:
        """Say something to people: now to who listens, else when they ask."""
        if self._listener is None:
            self.notices.append(text)
        else:
            self._listener(text)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` told what people should know, from now on and so far."""
        self._listener = listener
        while self.notices:
            listener(self.notices.pop(0))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the single-writer lock, over many transactions."""
        with self._session(patient=True):
            with self._guard:
                self._wants_wal = True
                self._use_wal()
            yield

    def close(self) -> None:
        """Let the file go. Safe to repeat."""
        if self._guard.is_foreign:
            return  # SQLite would roll back what the parent is about to commit
        with self._guard:
            self._closed = True
            self._disconnect()

    def upgrade_connection(self, mode: str) -> Connection:
        """Open the file in another mode; for who creates or repairs it."""
        path = self.path or ""
        if names_other_file(path):
            msg = (
                f"{path}-journal names another file, which opening the database would "
                "delete: remove that journal, which this package did not write"
            )
            raise CorruptDocumentError(msg)
        with failures.translated(self.path, "written"):
            self._disconnect()
            self._connection = engine.connect(path, mode)
        return self._connection

    @contextmanager
    def _session(self, *, patient: bool = False) -> Iterator[None]:
        with self._guard:
            self._require_open()
            if self.read_only:
                msg = f"{self.name} was opened with read_only=True: reopen it without"
                raise DatabaseWriteError(msg)
            if self._sessions == 0:
                self._begin_session(patient=patient)
            self._sessions += 1
        try:
            yield
        finally:
            with self._guard:
                self._sessions -= 1
                if self._sessions == 0:
                    self._end_session()

    def _begin_session(self, *, patient: bool) -> None:
        if self._lock is None or self.path is None:
            return
        require_one_name(self.path)
        took_over = self._lock.acquire(patient=patient)
        try:
            self.claim_arrays()
            connection = self.upgrade_connection(engine.WRITE)
            self._file = identity(self.path)
            with failures.translated(self.path, "written"):
                self._prepare_journal()
                end_open_runs(connection, "died" if took_over else "error")
        except BaseException:
            self._lock.release()
            raise

    def claim_arrays(self) -> None:
        """Make sure that an array folder elsewhere is this database's alone."""
        if self._arrays and self._lock and self.database_id:
            self._arrays.claim(self._lock.token, self.database_id)

    def _prepare_journal(self) -> None:
        """Never use a WAL on what may be another machine's disk, left by whomever."""
        path = self.path or ""
        if not filesystem.is_local(path) and is_wal(path):
            engine.leave_wal_alone(self._connected())
        if has_cold_journal(path):
            engine.put_cold_journal_away(self._connected())

    def _require_same_file(self) -> None:
        """Refuse to write on to a file that nobody will find: SQLite notices nothing.

        Raises:
            DatabaseWriteError: another file, or none, has the database's name by now.
        """
        if self.path is not None and identity(self.path) != self._file:
            msg = (
                f"{self.path} was deleted, moved or replaced during the run: nothing "
                "more is written. Put it back, or rerun to start from scratch"
            )
            raise DatabaseWriteError(msg)

    def _use_wal(self) -> None:
        if self.path is None or self._uses_wal or not filesystem.is_local(self.path):
            return
        with failures.translated(self.path, "written"):
            self._uses_wal = engine.use_wal(self._connected())

    def _end_session(self) -> None:
        if self._lock is None:
            return
        try:
            self._uses_wal = self._wants_wal = False
            if self._connection is not None:
                engine.use_rollback_journal(self._connection)
            self._disconnect()
        finally:
            self._lock.release()

    def _begin_reading(self) -> Connection:
        for _ in range(_REPAIRS):
            try:
                return engine.begin(self._connected())
            except DBAPIError as error:
                if self._sessions or not self._repair(error):
                    raise
        return engine.begin(self._connected())

    def _repair(self, error: DBAPIError) -> bool:
        """Make a file readable that a killed writer, or its folder, leaves unreadable.

        Give False if there is nothing to be done about this error.
        """
        self._disconnect()
        path = self.path or ""
        if is_wal(path):
            # Readers of a WAL need files beside it. Where none can be made, the file
            # alone is right as long as no changes wait in a WAL.
            if not failures.is_refused_folder(error) or has_wal(path):
                return False
            self._connection = engine.connect(path, engine.READ, immutable=True)
            self._is_immutable = True
            return True
        return failures.is_hot_journal(error) and self._roll_back_killed_writer()

    def _roll_back_killed_writer(self) -> bool:
        """Finish what a killed writer left half done, if it was killed.

        Where file locks do not work, a commit that is under way looks the same to a
        reader; rolling that back would destroy the file. The lock file knows.
        """
        if self._lock is None:
            return False
        require_one_name(self.path or "")
        try:
            self._lock.acquire()
        except DatabaseLockedError:  # its commit is over by now
            return True
        try:
            engine.roll_back(engine.begin(self.upgrade_connection(engine.WRITE)))
        finally:
            self._disconnect()
            self._lock.release()
        return True

    def _connected(self) -> Connection:
        self._require_open()
        if self._connection is None:
            self._connection = engine.connect(self.path or "", engine.READ)
        return self._connection

    def _disconnect(self) -> None:
        self._is_immutable = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(DBAPIError):
                engine.disconnect(connection)

    def _require_open(self) -> None:
        if self._closed:
            msg = f"{self.name} is closed: open it again with open_db"
            raise DatabaseError(msg)
