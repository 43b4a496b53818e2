"""Where the database is to be: what its file system means, tried with real files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from ..database.file import filesystem
from ..database.file.descriptors import require_one_name
from ..database.handle import open_db, session_of
from ..encoding.linked import ArrayFolder
from ..errors import DatabaseWriteError, ExperimenterError, LaunchError
from .findings import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

LITTLE_BYTES = 1 << 30
ELSEWHERE = "choose another place with --db"
# Gone with the machine, or with the job.
_MEMORY = ("tmpfs", "ramfs")


def folder_of(path: str) -> str:
    """Return the folder that holds the database, or the nearest one that exists."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder


def database(path: str) -> Finding:
    """Report whether the database exists, and whether a run is writing to it."""
    if not os.path.exists(os.path.abspath(path)):  # which makes this folder of ""
        return Finding("database", OK, f"{path} does not exist yet; a run makes it")
    if os.path.isfile(path) and not os.access(path, os.W_OK):
        text = f"{path} cannot be written by you"
        return Finding("database", PROBLEM, text, f"ask its owner, or {ELSEWHERE}")
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        text = f"{path} is an empty file; a run makes a database of it"
        return Finding("database", OK, text)
    return _opened(path)


def _opened(path: str) -> Finding:
    """Report what reading the database shows."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        with open_db(name, folder, create_folder=False, read_only=True) as opened:
            states = session_of(opened).reports.overview()
    except LaunchError:  # of which the ranks' own finding speaks
        return Finding(
            "database", NOTE, f"{path} was not opened: this process sees no other ranks"
        )
    except ExperimenterError as error:
        return Finding("database", PROBLEM, str(error))
    try:
        require_one_name(os.path.realpath(path))
    except DatabaseWriteError as error:
        return Finding("database", PROBLEM, str(error))
    if refusal := ArrayFolder(os.path.realpath(path)).refusal:
        return Finding("database", PROBLEM, refusal)
    if any(state["is_locked"] for state in states):
        text = f"{path} is being written by another run"
        return Finding("database", PROBLEM, text, f"wait for it to end, or {ELSEWHERE}")
    names = ", ".join(state["name"] for state in states) or "none yet"
    return Finding("database", OK, f"{path}; experiments: {names}")


def file_system(path: str) -> Iterator[Finding]:
    """Report the kind of file system, and what it means for a database on it."""
    folder = folder_of(path)
    kind = filesystem.kind_of(folder)
    if kind in filesystem.LOCAL:
        text = (
            f"{folder} is on {kind}, which is local to this host: a write-ahead log "
            "is used"
        )
    else:
        text = (
            f"{folder} is on {kind or 'a file system of unknown type'}, which hosts "
            "may share: a rollback journal is used, as a write-ahead log breaks there"
        )
    yield Finding("file system", OK, text)
    if kind in _MEMORY:
        text = f"{folder} is kept in memory: it may be lost when the job ends"
        yield Finding("file system", NOTE, text, ELSEWHERE)


def room(path: str) -> Finding:
    """Report the free space."""
    free = shutil.disk_usage(folder_of(path)).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < LITTLE_BYTES:
        remedy = f"free some space (see also your quota), or {ELSEWHERE}"
        return Finding("room", NOTE, text, remedy)
    return Finding("room", OK, text)


def locking(path: str) -> Finding:
    """Try what a run relies on, in a folder made for it beside the database."""
    folder = folder_of(path)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as made:
            words = _wrong_with(made)
    except (OSError, sqlite3.Error) as error:
        text = f"{folder} cannot be written: {error}"
        return Finding("writing", PROBLEM, text, ELSEWHERE)
    if words is not None:
        remedy = f"ask for locks on this file system (flock), or {ELSEWHERE}"
        return Finding("writing", PROBLEM, f"{folder}: {words}", remedy)
    text = "files and locks work as SQLite and a run require"
    return Finding("writing", OK, text)


def _wrong_with(folder: str) -> str | None:
    """Return what does not work in the folder, None if all does."""
    path = os.path.join(folder, "lock")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return "a file can be created twice, so two runs could write at once"
    path = os.path.join(folder, "try.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as first:
        first.execute("CREATE TABLE tried (number)")
        first.execute("BEGIN EXCLUSIVE")
        first.execute("INSERT INTO tried VALUES (1)")
        if _gets_in(path):
            return "SQLite's locks have no effect"
        first.execute("COMMIT")
    return None


def _gets_in(path: str) -> bool:
    with closing(sqlite3.connect(path, timeout=0)) as second:
        try:
            second.execute("INSERT INTO tried VALUES (2)")
        except sqlite3.OperationalError:
            return False
    return True
