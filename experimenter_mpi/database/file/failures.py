"""What SQLite says when something is wrong, in this package's errors and one line."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, InterfaceError

from ...errors import (
    CorruptDocumentError,
    DatabaseError,
    DatabaseLockedError,
    DatabaseWriteError,
    ForeignDatabaseError,
)
from .rows import BadRowError

if TYPE_CHECKING:
    from collections.abc import Iterator

# By what SQLite's message holds: Python 3.10 does not give the error's code.
_REMEDIES = {
    "locked": "another program keeps it locked: close it and try again",
    "full": "the disk is full or a quota is reached: free some space and rerun",
    "readonly": "it cannot be written: check its permissions and those of its folder",
    "disk i/o error": "the file system failed (full, quota, or no file locking?)",
    "locking protocol": "the file system does not lock files: use a local one",
    "unable to open": "it or its folder cannot be opened: check the permissions",
    "too big": "a value is larger than SQLite can store (1 GB)",
}


@contextmanager
def translated(path: str | None, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into this package's; ``doing`` is read or written."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise translation(error, path, doing) from error
    except BadRowError as error:
        where = path or "the in-memory database"
        raise _damaged(where, str(error)) from error
    except UnicodeDecodeError as error:  # in SQLite's own message, about the schema
        where = path or "the in-memory database"
        raise _damaged(where, "its schema is not text") from error
    except UnicodeEncodeError as error:
        where = path or "the in-memory database"
        msg = (
            f"{where}: {error.object!r} is not valid Unicode: it cannot be encoded in "
            "UTF-8"
        )
        raise DatabaseError(msg) from error


def translation(error: Exception, path: str | None, doing: str) -> DatabaseError:
    """Return the error to raise in place of SQLite's."""
    original = error.orig if isinstance(error, DBAPIError) else error
    text = " ".join(str(original).split())
    where = path or "the in-memory database"
    lowered = text.lower()
    if "malformed" in lowered:
        return _damaged(where, text)
    if "not a database" in lowered:
        msg = f"{where} is not a SQLite database: choose another file"
        return ForeignDatabaseError(msg)
    check = f"look with 'sqlite3 {where} \"PRAGMA integrity_check\"'"
    remedy = next((_REMEDIES[key] for key in _REMEDIES if key in lowered), check)
    msg = f"{where} cannot be {doing}: {text}; {remedy}"
    if doing == "read":
        return DatabaseLockedError(msg) if "locked" in lowered else DatabaseError(msg)
    # Neither says anything about the database: one value is not for it.
    if isinstance(error, InterfaceError) or "too big" in lowered:
        return DatabaseError(msg)
    return DatabaseWriteError(msg)


def _damaged(where: str, what: str) -> CorruptDocumentError:
    return CorruptDocumentError(
        f"{where} is damaged ({what}): recover what is there with "
        f"'sqlite3 {where} .recover'"
    )


def is_hot_journal(error: Exception) -> bool:
    """Whether a reader met what a killed (or, unlocked, a living) writer left."""
    return "attempt to write a readonly database" in str(error).lower()


def is_refused_folder(error: Exception) -> bool:
    """Whether a reader of a WAL may not make the files it needs beside it."""
    return is_hot_journal(error) or "unable to open" in str(error).lower()
