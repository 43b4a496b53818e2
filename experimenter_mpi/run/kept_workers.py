"""Workers that this process has spawned, kept from one run to the next.

To start them takes a second, most of it Python's own start.
"""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import output
from ..coordination.messages import Dismiss
from ..mpi.spawn import Spawner, leave, spawn
from .leaving import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..mpi.transport import Transport
    from ..trial.script import Script


class StartedFrom(NamedTuple):
    """What workers were started with: other workers are needed where it differs."""

    workers: int
    script: Script | None
    folder: str
    environment: dict[str, str]


class KeptWorkers(NamedTuple):
    """Workers that wait for another run."""

    origin: StartedFrom
    transport: Spawner
    parents: Any


_kept: list[KeptWorkers] = []
_exit_codes: list[ExitCode] = []


@contextmanager
def spawned(workers: int, script: Script | None) -> Iterator[Transport]:
    """Return a transport to so many workers, which serve until this process ends.

    An exception inside means that they are busy: then they are left as they are.

    Raises:
        LaunchError: this MPI, or the scheduler, starts no processes.
    """
    origin = StartedFrom(workers, script, os.getcwd(), dict(os.environ))
    if not _exit_codes:
        _exit_codes.append(ExitCode())
        atexit.register(_end_all)
    crew = _taken(origin) or KeptWorkers(origin, *spawn(workers))
    yield crew.transport
    _kept.append(crew)


def _taken(origin: StartedFrom) -> KeptWorkers | None:
    """Take the workers that wait if they were started like this, else end them.

    Raises:
        WorkerDiedError: one of them has died, after which MPICH crashes when it spawns.
    """
    if not _kept:
        return None
    _kept[0].transport.require_alive()
    crew = _kept.pop()
    if crew.origin == origin:
        return crew
    _end(crew)
    return None


def _end(crew: KeptWorkers) -> None:
    crew.transport.send_all(Dismiss())
    leave(crew.transport, crew.parents)


def _end_all() -> None:
    """End the workers at this process's exit."""
    for crew in _kept:
        if crew.transport.is_open and not crew.transport.lost():
            _end(crew)
            continue
        # MPICH crashes, or waits for the dead, when it is to end: it is not asked to.
        crew.transport.kill()
        output.flush()
        os._exit(_exit_codes[0].value)
