"""The single writer: a lock file beside the database that names who holds it.

``fcntl`` locks are node-local on some parallel file systems; creating a file with
``O_EXCL`` is exclusive on all of them.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ...encoding.disk import reason
from ...errors import DatabaseLockedError, DatabaseWriteError
from .owner import DEAD_AFTER_SECONDS, Owner, age_of, read_owner, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEARTBEAT_SECONDS = 15.0
# Short changes (a script that resets a trial) are waited for, a run is not.
PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.05


class WriterLock:
    """The lock of one database; ``acquire`` and ``release`` it in turn.

    ``note`` gets a line for people when a dead owner's lock was taken over.
    """

    def __init__(self, database: str, note: Callable[[str], None]) -> None:
        self.path = f"{database}.lock"
        self._database = database
        self._note = note
        self._owner = this_process()
        self._stop: threading.Event | None = None
        self._owner_watch = _OwnerWatch(self.path)
        self._took_over = False

    @property
    def token(self) -> str:
        return self._owner.token

    def is_held(self) -> bool:
        """Whether there is a lock file, by a process that lives as far as one sees."""
        holder = read_owner(self.path)
        return holder is not None and not self._looks_dead(holder)

    def acquire(self, *, patient: bool = False) -> bool:
        """Take the lock, waiting a little for one that is held only briefly.

        When ``patient`` also for an owner on another host to show that it lives, or is
        dead: the job that goes on with a killed one's work may begin at once. Gives
        whether it was a dead owner's.

        Raises:
            DatabaseLockedError: another live process holds it.
            DatabaseWriteError: the folder cannot be written.
        """
        self._owner = this_process()
        self._owner_watch = _OwnerWatch(self.path)
        self._took_over = False
        patience = threading.Event()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (holder := self._try()) is not None:
            if time.monotonic() >= deadline:
                if not (patient and self._owner_watch.goes_on(holder)):
                    raise self._refusal(holder)
                self._owner_watch.say_once(self._note, self._database, holder)
            patience.wait(_POLL_SECONDS)
        self._start_heartbeat()
        return self._took_over

    def check(self) -> None:
        """Make sure that the lock is still this process's.

        Raises:
            DatabaseLockedError: it was taken over while this process stood still, or
                deleted.
        """
        holder = read_owner(self.path)
        if holder is None:
            msg = (
                f"{self.path} no longer exists: it or its folder was deleted or "
                "moved, or this process was suspended for so long that another run "
                "took the lock over and has released it since. Nothing more is "
                "written; rerun the same command to continue"
            )
            raise DatabaseLockedError(msg)
        if holder.token != self._owner.token:
            msg = (
                f"{self._database}: this process was suspended for so long that its "
                f"lock was taken over; it is held by {holder.describe()}. Nothing "
                "more is written; rerun the same command to continue, once that one "
                "has ended"
            )
            raise DatabaseLockedError(msg)

    def release(self) -> None:
        """Give the lock back, unless someone else has it by now, or the parent."""
        if self._owner.pid != os.getpid():
            return
        if self._stop is not None:
            self._stop.set()
            self._stop = None
        holder = read_owner(self.path)
        if holder is not None and holder.token == self._owner.token:
            _remove(self.path)

    def _try(self) -> Owner | None:
        """Take the lock now and give None, or give whoever holds it."""
        if self._create(self.path):
            return None
        holder = read_owner(self.path)
        if holder is None:  # released since
            return None if self._create(self.path) else self._owner
        if not self._is_dead(self.path, holder):
            return holder
        return self._take_over(holder)

    def _take_over(self, dead: Owner) -> Owner | None:
        """Replace a dead owner's lock, as the only one who does.

        The right to it is a file named by the dead owner's token: whoever creates
        that file is the one. Should its creator die before it is done, the same right
        is had to its claim, and so on.
        """
        claims: list[str] = []
        try:
            for holder in self._chain(dead):
                claim = f"{self.path}.{holder.token}"
                if self._create(claim):
                    claims.append(claim)
                    break
                claimant = read_owner(claim)
                if claimant is None:
                    return holder
                if not self._is_dead(claim, claimant):
                    return claimant
            else:  # the claims went away under our eyes: begin again
                return dead
            # A slower one may have claimed what is already replaced: look again.
            now = read_owner(self.path)
            if now is None or now.token != dead.token:
                return dead if now is None else now
            self._replace()
            self._took_over = True
            claims = [f"{self.path}.{each.token}" for each in self._chain(dead)]
            self._note(
                f"took over the lock on {self._database} of {dead.describe()}, "
                "which is no longer running"
            )
        finally:
            for claim in claims:
                _remove(claim)
        return None

    def _chain(self, dead: Owner) -> Iterator[Owner]:
        """Yield the dead owner, whoever died claiming its lock, and so on."""
        holder: Owner | None = dead
        while holder is not None and holder.token != self._owner.token:
            yield holder
            holder = read_owner(f"{self.path}.{holder.token}")

    def _create(self, path: str) -> bool:
        """Create a lock file that names this process, unless there is one."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            os.write(handle, self._owner.text().encode())
        except OSError as error:
            _remove(path)
            raise self._unwritable(error) from error
        finally:
            os.close(handle)
        return True

    def _replace(self) -> None:
        fresh = f"{self.path}.new-{self._owner.token}"
        self._create(fresh)
        os.replace(fresh, self.path)

    def _looks_dead(self, holder: Owner) -> bool:
        """Judge without writing a file, for readers: by the local clock."""
        try:
            age = time.time() - os.stat(self.path).st_mtime
        except OSError:
            return True
        return holder.is_dead(age)

    def _is_dead(self, path: str, owner: Owner) -> bool:
        try:
            age = age_of(path, self._owner.token)
        except OSError as error:
            raise self._unwritable(error) from error
        if path == self.path:  # whose time may lie in the future
            age = max(age, self._owner_watch.silence() or 0.0)
        return owner.is_dead(age)

    def _start_heartbeat(self) -> None:
        self._stop = threading.Event()
        threading.Thread(
            target=_beat,
            args=(self.path, self._owner.token, self._stop),
            name="experimenter_mpi lock",
            daemon=True,
        ).start()

    def _refusal(self, holder: Owner) -> DatabaseLockedError:
        died = (
            ""
            if holder.can_be_asked()
            else " (if it has died, its lock expires after two minutes)"
        )
        msg = (
            f"{self._database} is being written by {holder.describe()}: wait for it to "
            f"end{died}, or use another database (--db); reading works meanwhile "
            "(read_only=True)"
        )
        return DatabaseLockedError(msg)

    def _unwritable(self, error: OSError) -> DatabaseWriteError:
        msg = (
            f"cannot write next to {self._database}: {reason(error)}; check the "
            "permissions and free space of its folder, or use another database (--db)"
        )
        return DatabaseWriteError(msg)


class _OwnerWatch:
    """Watches, by this host's clock, whether anyone touches a lock file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = _touched(path)
        self._since = time.monotonic()
        self._has_spoken = False

    def silence(self) -> float | None:
        """Return for how long the file has stayed as it was first seen, if it has."""
        if self._seen is None or self._seen != _touched(self._path):
            return None
        return time.monotonic() - self._since

    def goes_on(self, holder: Owner) -> bool:
        """Whether nobody knows yet if the owner lives."""
        return not holder.can_be_asked() and self.silence() is not None

    def say_once(self, note: Callable[[str], None], what: str, holder: Owner) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            note(
                f"{what} was being written by {holder.describe()}: waiting at most "
                f"{DEAD_AFTER_SECONDS:.0f} s to see whether it still runs"
            )


def _touched(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _beat(path: str, token: str, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        holder = read_owner(path)
        if holder is not None and holder.token == token:
            with suppress(OSError):  # check() says so before the next transaction
                os.utime(path)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
