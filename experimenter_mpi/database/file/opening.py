"""From a path to an open database of ours, touching nothing that is not ours."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ...encoding.disk import reason
from ...errors import (
    DatabaseError,
    DatabaseWriteError,
    ForeignDatabaseError,
    NotFoundError,
)
from . import engine, failures, migrations, schema
from .header import read_header
from .properties import read_id
from .storage import Storage

if TYPE_CHECKING:
    from .header import Header

_BESIDE = ("-journal", "-wal", "-shm", ".lock")


def open_storage(
    path: str,
    *,
    create_folder: bool = True,
    read_only: bool = False,
    allow_pickle: bool = False,
) -> Storage:
    """Open the database at ``path``; unless ``read_only``, create or upgrade it.

    Raises:
        DatabaseError: what is there cannot be used; it was left as it is.
    """
    path = _checked(path)
    _require_plain_files_beside(path)
    if read_only:
        _require_file(path)
    else:
        _require_writable(path, create_folder=create_folder)
    if os.path.exists(path):
        _identify_from_outside(path)
    storage = Storage(path, read_only=read_only, allow_pickle=allow_pickle)
    try:
        _bring_up_to_date(storage, path)
    except BaseException:
        storage.close()
        raise
    return storage


def open_memory(*, allow_pickle: bool = False) -> Storage:
    """Open a database that is gone with the process."""
    storage = Storage(None, allow_pickle=allow_pickle)
    with storage.transaction() as connection:
        migrations.upgrade(connection, 0)
        storage.database_id = read_id(connection)
    return storage


def _bring_up_to_date(storage: Storage, path: str) -> None:
    version = 0
    if not _is_empty(path):
        with storage.reading() as connection:
            version = migrations.identify(connection, path)
            if version == len(migrations.STEPS):
                schema.require_passive(connection, path)
                storage.database_id = read_id(connection)
    if storage.read_only:
        migrations.require_current(version, path)
    elif version < len(migrations.STEPS):
        _create_file(path)
        with storage.transaction() as connection:
            # Asked again under the lock: another process may have done it meanwhile.
            version = migrations.identify(connection, path)
            if version:  # a step may write rows, which must run nothing else
                schema.require_passive(connection, path, before_upgrade=True)
            migrations.upgrade(connection, version)
            storage.was_upgraded = version > 0
            schema.require_passive(connection, path)
            storage.database_id = read_id(connection)
            storage.claim_arrays()


def _identify_from_outside(path: str) -> None:
    """Refuse what is not ours as far as a look without repairing anything shows."""
    header = _header(path)
    if header is None:
        msg = (
            f"{path} is not a SQLite database and was not changed: choose another file"
        )
        raise ForeignDatabaseError(msg)
    if header.application_id == migrations.APPLICATION_ID or _is_empty(path):
        return
    if header.application_id or header.is_wal:
        raise migrations.foreign(path)
    with failures.translated(path, "read"):
        connection = engine.connect(path, engine.READ)
        try:
            migrations.identify(connection, path)
        finally:
            engine.disconnect(connection)


def _header(path: str) -> Header | None:
    try:
        return read_header(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; check its permissions"
        raise DatabaseError(msg) from error


def _checked(path: str) -> str:
    if "\x00" in path:
        msg = f"{path!r} is not a file name: it contains a NUL character"
        raise DatabaseError(msg)
    # The lock and the arrays stand beside the file itself, whatever link leads to it,
    # and ``execute`` may change the directory later.
    path = os.path.realpath(path)
    if os.path.isdir(path):
        msg = f"{path} is a folder: give the name of a database file in it"
        raise DatabaseError(msg)
    if os.path.exists(path) and not os.path.isfile(path):
        msg = f"{path} is not a regular file: choose another name for the database"
        raise DatabaseError(msg)
    return path


def _require_plain_files_beside(path: str) -> None:
    """Refuse links and pipes under the names that SQLite and the lock open by."""
    for name in (f"{path}{end}" for end in _BESIDE):
        try:
            mode = os.lstat(name).st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            msg = (
                f"{name} is not a regular file and was not created by this package: "
                "remove it"
            )
            raise DatabaseError(msg)


def _require_file(path: str) -> None:
    if not os.path.exists(path):
        msg = f"there is no database {path}: check the name, or run an experiment first"
        raise NotFoundError(msg)


def _require_writable(path: str, *, create_folder: bool) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        if not create_folder:
            msg = f"there is no folder {folder}: create it, or use create_folder=True"
            raise DatabaseError(msg)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            msg = (
                f"cannot create the folder {folder}: {reason(error)}; choose another "
                "place for the database (--db)"
            )
            raise DatabaseWriteError(msg) from error
    unwritable = [each for each in (folder, path) if not _may_write(each)]
    if unwritable:
        msg = (
            f"{unwritable[0]} cannot be written to: choose another place, or open the "
            "database with read_only=True"
        )
        raise DatabaseWriteError(msg)


def _may_write(path: str) -> bool:
    return not os.path.exists(path) or os.access(path, os.W_OK)


def _is_empty(path: str) -> bool:
    return not os.path.exists(path) or os.path.getsize(path) == 0


def _create_file(path: str) -> None:
    """Make an empty file, so that opening for writing can insist that there is one.

    A handle whose file was deleted must fail, not begin a new empty database.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
    except OSError as error:
        msg = f"cannot create {path}: {reason(error)}; choose another place (--db)"
        raise DatabaseWriteError(msg) from error
