"""What a run does now, in a small file beside its database, for ``status`` to read.

Rank 0 writes ``<database>.trail``, with the heartbeat of its lock, and removes it
at its end. What is left of a run that was killed shows where that was.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..coordination import trail
from ..database.file.lock import HEARTBEAT_SECONDS
from ..database.file.owner import read_owner
from ..trial.background import in_background
from ..trial.outcome import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from ..database.file.storage import Storage
    from .progress import Progress

# A run that has just begun is written more often.
FIRST_SECONDS = 0.5
# The file stays small, however many ranks there are.
MOST_RANKS = 200
MOST_BYTES = 1 << 20
_LONGEST_NAME = 300


class Running(NamedTuple):
    """A trial that runs, and for how many seconds it did when that was written."""

    rank: int
    host: str
    trial: int
    seconds: float


class Live(NamedTuple):
    """What a run said of itself ``age`` seconds ago.

    ``token`` is that of its lock, ``busy`` how many trials ran: those that ran for
    longest are ``running``. ``trail`` are the last messages and decisions of rank 0.
    """

    experiment: str
    token: str
    written_at: str
    age: float
    total: int
    done: int
    failed: int
    rate: float | None
    last_error: str | None
    busy: int
    running: list[Running]
    trail: list[str]


def path_of(database: str) -> str:
    """Return the name of a database's file."""
    return f"{database}.trail"


@contextmanager
def shown(storage: Storage, experiment: str, progress: Progress) -> Iterator[None]:
    """Keep the file up to date, on a thread, until the end of the block."""
    if storage.path is None:
        yield
        return
    path = path_of(storage.path)

    def write() -> None:
        if _is_writer(storage):
            _replace(path, _now(storage, experiment, progress))

    def keep(over: Event) -> None:
        seconds = FIRST_SECONDS
        while not over.wait(seconds):
            write()
            seconds = min(2 * seconds, HEARTBEAT_SECONDS)

    write()
    try:
        with in_background(keep, "experimenter_mpi trail"):
            yield
    finally:
        if _is_writer(storage):
            _remove(path)


def _is_writer(storage: Storage) -> bool:
    """Whether the lock is still this run's: the file is another's that has taken it."""
    holder = read_owner(f"{storage.path}.lock")
    return holder is not None and holder.token == storage.lock_token


def _now(storage: Storage, experiment: str, progress: Progress) -> dict[str, Any]:
    running = trail.runs()
    return {
        "experiment": experiment[:_LONGEST_NAME],
        "token": storage.lock_token,
        "written_at": iso(time.time()),
        **progress.state(),
        "busy": len(running),
        "running": running[:MOST_RANKS],
        "trail": trail.lines(),
    }


def _replace(path: str, state: dict[str, Any]) -> None:
    """Write the file whole or leave it: a full disk, or no permission, stops nothing.

    Under one fixed name, so that nothing piles up; whatever has that name is not
    followed.
    """
    fresh = f"{path}.new"
    _remove(fresh)
    try:
        content = json.dumps(state).encode()
        handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            while content:
                content = content[os.write(handle, content) :]
        finally:
            os.close(handle)
        os.replace(fresh, path)
    except OSError:
        _remove(fresh)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def read(database: str) -> Live | None:
    """Return what the database's last run said of itself; None if nothing is there.

    The file may be a stranger's, or half of one.
    """
    try:
        content, touched = _content(path_of(database))
        age = max(0.0, time.time() - touched)
        return _live(json.loads(content), age)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _content(path: str) -> tuple[bytes, float]:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            msg = "it is not a file"
            raise ValueError(msg)
        return file.read(MOST_BYTES), status.st_mtime


def _live(state: Any, age: float) -> Live:
    """Return what the file says, if it says it as it is written."""
    rate, error = state["rate"], state["last_error"]
    return Live(
        _of(str, state["experiment"]),
        _of(str, state["token"]),
        _of(str, state["written_at"]),
        age,
        _of(int, state["total"]),
        _of(int, state["done"]),
        _of(int, state["failed"]),
        None if rate is None else float(rate),
        None if error is None else _of(str, error),
        _of(int, state["busy"]),
        [_running(*each) for each in _of(list, state["running"])],
        [_of(str, line) for line in _of(list, state["trail"])],
    )


def _running(rank: Any, host: Any, trial: Any, seconds: Any) -> Running:
    return Running(_of(int, rank), _of(str, host), _of(int, trial), float(seconds))


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        msg = f"{value!r} is not of type {kind.__name__}"
        raise TypeError(msg)
    return value
