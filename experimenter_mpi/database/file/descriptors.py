"""A look into a file without letting go of the locks that SQLite has on it.

When a process closes any descriptor of a file, POSIX lets go of all its locks on that
file. Without SQLite's, whoever else closes the database takes itself for the last one
to use it and deletes the WAL, and all that is committed from then on with it.
"""

from __future__ import annotations

import os
import shlex
import threading
from typing import NamedTuple

from ...errors import DatabaseWriteError


class Identity(NamedTuple):
    """What tells a file from another that takes its name later."""

    device: int
    inode: int


class _Use:
    """How many connections this process has to a file, and what is open of it."""

    def __init__(self) -> None:
        self.connections = 0
        self.descriptors: list[int] = []


_guard = threading.Lock()
_uses: dict[Identity, _Use] = {}


def identity(path: str) -> Identity | None:
    """Return which file has this name now, None if there is none."""
    try:
        return _identity(os.stat(path))
    except OSError:
        return None


def require_one_name(path: str) -> None:
    """Refuse to write a file that has another name, a hard link, as well.

    Its lock, its journal and its arrays are named after the path by which it is
    opened: two writers with different names would know nothing of each other.

    Raises:
        DatabaseWriteError: it has several names.
    """
    try:
        names = os.stat(path).st_nlink
    except OSError:  # whoever opens it says so
        return
    if names > 1:
        file, copy = shlex.quote(path), shlex.quote(f"{path}.copy")
        msg = (
            f"{path} is one file with {names} names (hard links), so it is not "
            "written to: runs that use different names for it would destroy it. Make "
            f"this name a separate file with: cp -p {file} {copy} && mv {copy} {file}"
        )
        raise DatabaseWriteError(msg)


def hold(path: str) -> Identity | None:
    """Close no descriptor of the file from now on, until ``release``."""
    with _guard:
        held = identity(path)
        if held is not None:
            _uses.setdefault(held, _Use()).connections += 1
        return held


def release(held: Identity | None) -> None:
    """Take ``hold`` back, once SQLite has closed the file."""
    with _guard:
        if held is None:
            return
        use = _uses[held]
        use.connections -= 1
        if use.connections == 0:
            del _uses[held]
            for descriptor in use.descriptors:
                os.close(descriptor)


def first_bytes(path: str, count: int) -> bytes:
    """Read the beginning of a file.

    Raises:
        OSError: it cannot be read.
    """
    with _guard:
        use = _uses.get(_identity(os.stat(path)))
        if use is not None and use.descriptors:
            return os.pread(use.descriptors[0], count, 0)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        use = _uses.get(_identity(os.fstat(descriptor)))
        try:
            return os.pread(descriptor, count, 0)
        finally:
            if use is None:
                os.close(descriptor)
            else:
                use.descriptors.append(descriptor)


def _identity(found: os.stat_result) -> Identity:
    return Identity(found.st_dev, found.st_ino)
