"""Give the room of deleted rows back to the file system."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatabaseError, DatabaseLockedError
from .file import engine, failures, filesystem
from .file.header import is_wal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file.storage import Storage

# Less is not worth a word.
_LITTLE = 1024 * 1024
# A file of which less is free is written anew only if somebody asks for it.
_FREE_PART = 5
# Where there is no WAL readers wait meanwhile, and give up after a minute.
_QUICK = 256 * 1024 * 1024
_STEPS_BETWEEN_LOOKS = 100_000


class Room(NamedTuple):
    """How many bytes of a database file hold something, and how many nothing."""

    used: int
    free: int

    @property
    def is_little(self) -> bool:
        return self.free < _LITTLE

    def is_soon_given_back(self, path: str) -> bool:
        """Whether it pays to write the file anew without being asked to."""
        is_quick = self.used <= _QUICK or filesystem.is_local(path)
        return is_quick and self.free * _FREE_PART >= self.used + self.free


def room(storage: Storage) -> Room:
    """Look into the database's file."""
    with storage.reading() as connection:
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    return Room((pages - free) * size, free * size)


def size_on_disk(storage: Storage) -> int:
    """Return the bytes of the file and of its array files."""
    paths = [storage.path or os.devnull]
    if storage.files is not None:
        paths += (os.path.join(storage.files.folder, n) for n in storage.files.names())
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))


def give_back(storage: Storage) -> None:
    """Write the file anew without its free pages; whatever happens, nothing is lost.

    Raises:
        DatabaseLockedError: somebody reads it just now.
        DatabaseError: the disk has no room for the copy.
        KeyboardInterrupt: it was interrupted.
    """
    path = storage.path
    if path is None:
        return
    with storage.writing(), failures.translated(path, "written"):
        there = room(storage)
        if not there.free:
            return
        _require_room(path, there)
        driver = engine.raw(storage.upgrade_connection(engine.WRITE))
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            driver.set_progress_handler(_let_signals_in, _STEPS_BETWEEN_LOOKS)
            _checkpoint(driver, path)
            driver.execute("VACUUM")
            _checkpoint(driver, path)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise KeyboardInterrupt from None
            if engine.is_locked(error):
                raise _in_use(path) from None
            raise
        finally:
            driver.set_progress_handler(None, 0)
            driver.execute(f"PRAGMA busy_timeout = {int(engine.BUSY_SECONDS * 1000)}")


def _let_signals_in() -> int:
    """Python runs signal handlers before it runs this; one that raises ends it all."""
    return 0


def _checkpoint(driver: sqlite3.Connection, path: str) -> None:
    """Have all changes in the file itself, which only readers can hinder."""
    if not is_wal(path):
        return
    busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise _in_use(path)


def _in_use(path: str) -> DatabaseLockedError:
    msg = f"another program is reading {path}: close it and try again"
    return DatabaseLockedError(msg)


def _require_room(path: str, needed: Room) -> None:
    """Refuse to begin what would fill the disk, which others write to as well.

    SQLite makes the copy in the folder for temporary files, and notes in the journal
    what it replaces, or in the WAL by what.
    """
    journal = needed.used if is_wal(path) else needed.used + needed.free
    temporary, folder = _temporary_folder(), os.path.dirname(path)
    wanted = {folder: journal}
    if os.stat(temporary).st_dev == os.stat(folder).st_dev:
        wanted[folder] += needed.used
    else:
        wanted[temporary] = needed.used
    for where, size in wanted.items():
        found = os.statvfs(where)
        if found.f_bavail * found.f_frsize < size:
            msg = (
                f"compacting {path} needs {size / 1e6:.1f} MB of free space in {where}"
            )
            if where == temporary:
                msg += "; free some, or set SQLITE_TMPDIR to another folder"
            raise DatabaseError(msg)


def _temporary_folder() -> str:
    """Return where SQLite makes temporary files."""
    return next(filter(_is_writable, _temporary_folders()), ".")


def _temporary_folders() -> Iterator[str]:
    for name in ("SQLITE_TMPDIR", "TMPDIR"):
        yield os.environ.get(name) or ""
    yield from ("/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108 - SQLite's own list


def _is_writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
