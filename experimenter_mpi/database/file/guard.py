"""Who may use a database's connection: one thread at a time, and of one process."""

from __future__ import annotations

import os
import threading

from ...errors import DatabaseError


class Guard:
    """A lock that a thread may take again, and that no forked process gets."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()

    @property
    def is_foreign(self) -> bool:
        """Whether this process was forked from the one that opened the database."""
        return self._pid != os.getpid()

    def __enter__(self) -> None:
        # First: a thread that is not here may hold the lock for ever.
        if self.is_foreign:
            msg = (
                "a process that was forked cannot use a database that its parent has "
                "opened: open it again with open_db(..., read_only=True)"
            )
            raise DatabaseError(msg)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
