"""Connections to one SQLite file, each with the settings this package relies on."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from . import descriptors

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A reader's transaction is over in milliseconds; whoever blocks longer than this hangs.
BUSY_SECONDS = 60.0

_HELD = "held"

READ = "ro"
WRITE = "rw"
CREATE = "rwc"


def connect(path: str, mode: str, *, immutable: bool = False) -> Connection:
    """Open ``path`` with mode READ, WRITE or CREATE; nothing is read or locked yet."""
    uri = f"{_uri(path)}?mode={mode}"
    connection = _connect(uri + "&immutable=1" if immutable else uri)
    connection.info[_HELD] = descriptors.hold(path)
    return connection


def connect_memory() -> Connection:
    """Open a database that lives as long as the connection."""
    return _connect("file::memory:")


def _uri(path: str) -> str:
    # Percent-quoted, since SQLite reads ?, # and % in the name as parts of the URI.
    return "file://" + quote(os.fsencode(path))


def _connect(uri: str) -> Connection:
    def creator() -> sqlite3.Connection:
        # isolation_level=None: BEGIN is said by us, never by the driver's guess.
        raw = sqlite3.connect(
            uri,
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("PRAGMA synchronous = FULL")
            # A stranger's schema may call no function that does anything, and its
            # pages are looked at before they are believed.
            raw.execute("PRAGMA trusted_schema = OFF")
            raw.execute("PRAGMA cell_size_check = ON")
        except sqlite3.Error:  # it reads the file, which may be locked or damaged
            raw.close()
            raise
        return raw

    return create_engine("sqlite://", creator=creator, poolclass=StaticPool).connect()


def disconnect(connection: Connection) -> None:
    """Close for good, without leaving a connection in a pool."""
    held = connection.info.get(_HELD)
    connection.close()
    connection.engine.dispose()
    descriptors.release(held)


def raw(connection: Connection) -> sqlite3.Connection:
    """Return the driver's own connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def begin(connection: Connection) -> Connection:
    """Begin to read; only the first query takes the file's lock."""
    connection.exec_driver_sql("BEGIN")
    try:
        connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").scalar()
    except BaseException:
        roll_back(connection)
        raise
    return connection


def roll_back(connection: Connection) -> None:
    """Undo on both levels: after a failed COMMIT SQLAlchemy believes all is done."""
    with suppress(DBAPIError):
        connection.rollback()
    with suppress(Exception):
        raw(connection).rollback()


def wait_at_most(connection: Connection, seconds: float) -> None:
    """Set how long a statement waits for others' locks before it fails."""
    raw(connection).execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def is_locked(error: Exception) -> bool:
    """Whether this is SQLite's word for a lock of another that was waited for."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def use_wal(connection: Connection) -> bool:
    """Let readers and the writer not wait for each other; for local files only.

    Give False where a reader from before is still there: only without one can it be.
    """
    wait_at_most(connection, 0)
    try:
        raw(connection).execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if is_locked(error):
            return False
        raise
    finally:
        wait_at_most(connection, BUSY_SECONDS)
    # 32 MB between checkpoints, each of which waits for the disk.
    raw(connection).execute("PRAGMA wal_autocheckpoint = 8000")
    return True


def try_commit(connection: Connection) -> bool:
    """Commit; give False where a reader was still there after ``wait_at_most``.

    The transaction is then as it was, and no new reader comes in.
    """
    try:
        raw(connection).execute("COMMIT")
    except sqlite3.OperationalError as error:
        if is_locked(error) and raw(connection).in_transaction:
            return False
        raise
    connection.commit()  # tells SQLAlchemy
    return True


def use_rollback_journal(connection: Connection) -> None:
    """Make the file complete in itself again, if no one else has it open.

    Then it may be copied alone, and read from a folder that cannot be written.
    """
    driver = raw(connection)
    wait_at_most(connection, 0)
    try:
        driver.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError:
        pass  # a reader is there: the file stays as it is, which is only less handy
    finally:
        wait_at_most(connection, BUSY_SECONDS)


def put_cold_journal_away(connection: Connection) -> None:
    """Have SQLite delete a journal over which a writer died; see ``has_cold_journal``.

    It harms nobody, but only who writes deletes it.
    """
    driver = raw(connection)
    try:
        driver.execute("BEGIN IMMEDIATE")
        (version,) = driver.execute("PRAGMA user_version").fetchone()
        driver.execute(f"PRAGMA user_version = {version}")
        driver.execute("COMMIT")
    except sqlite3.OperationalError:
        driver.rollback()  # there may be no room for a page: then it stays


def leave_wal_alone(connection: Connection) -> None:
    """Turn a WAL file into a rollback one without shared memory, as NFS demands.

    Must come before anything is read.
    """
    driver = raw(connection)
    driver.execute("PRAGMA locking_mode = EXCLUSIVE")
    driver.execute("PRAGMA journal_mode = DELETE")
    driver.execute("PRAGMA locking_mode = NORMAL")
    driver.execute("SELECT count(*) FROM sqlite_master").fetchone()  # lets the lock go
