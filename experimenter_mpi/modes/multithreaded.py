"""MultithreadedMode: several trials at once, on threads of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .counts import available_cores, checked_count

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..attempt import Attempt
    from ..attempts import Attempts
    from ..batches import Station
    from ..ledger import Place
    from ..sweep import Sweep
    from .pool import Inbox, Lane, ThreadDesk


class MultithreadedMode:
    """Run trials on ``threads`` threads of this process, one per core by default.

    They share one store. It pays where trials wait, or compute in code that lets other
    threads run meanwhile, as numpy does; pure Python takes turns. The threads are those
    of mpi4py.futures where an MPI library loads, else Python's own.

    Raises:
        ConfigurationError: ``threads`` is no whole number >= 1.
    """

    def __init__(self, threads: int | None = None) -> None:
        given = available_cores() if threads is None else threads
        self.threads = checked_count("threads", given)

    def __repr__(self) -> str:
        return f"MultithreadedMode(threads={self.threads})"

    def run(self, sweep: Sweep) -> None:
        """Run all trials of the sweep, or until it drains.

        Raises:
            BaseException: what a trial raised, if the sweep is to raise errors.
        """
        _run_on_threads(sweep, self.threads)


def _run_on_threads(sweep: Sweep, threads: int) -> None:
    from queue import SimpleQueue

    from ..attempt import trial_error
    from ..batches import Station
    from ..ledger import Place
    from ..mpi.executors import thread_pool
    from ..mpi.messages import Begun
    from .pool import Heard, ThreadDesk, run_in_pool

    place = Place(0, os.uname().nodename)
    inbox: Inbox = SimpleQueue()
    desk = ThreadDesk(inbox, place)
    attempts = _attempts(sweep, desk)

    def say_begun(index: int) -> None:
        inbox.put(Heard(place, Begun(index), lambda _: None))

    station = Station(attempts, sweep.drain, place, say_begun)
    # One thread each: mpi4py's pool of several may start more than it was told to.
    pools = [thread_pool(1) for _ in range(threads)]
    lanes = [_lane(pool, station, inbox) for pool in pools]
    try:
        failed = run_in_pool(sweep, lanes, inbox)
    finally:
        desk.close()
        attempts.close()
        # After an interruption trials may still run: nobody can stop a thread.
        for pool, lane in zip(pools, lanes, strict=True):
            pool.shutdown(wait=not lane.futures, cancel_futures=True)
    if sweep.raise_errors and failed is not None:
        raise failed.exception or trial_error(failed.entry)


def _lane(pool: Executor, station: Station, inbox: Inbox) -> Lane:
    from ..batches import run_batch
    from .pool import Lane

    reports = _Reports(station.place, inbox)
    return Lane(lambda ranges: pool.submit(run_batch, station, reports, ranges), 1)


class _Reports:
    """Implements ``batches.Reports`` for a thread: each trial is told as it ends."""

    def __init__(self, place: Place, inbox: Inbox) -> None:
        self._place = place
        self._inbox = inbox
        self._sent: list[int] = []

    def begin(self) -> None:
        self._sent = []

    def add(self, attempt: Attempt) -> None:
        from .pool import Tried

        self._inbox.put(Tried(self._place, attempt))
        self._sent.append(attempt.outcome.index)

    def take(self) -> tuple[tuple[Attempt, ...], tuple[int, ...]]:
        return (), tuple(self._sent)


def _attempts(sweep: Sweep, desk: ThreadDesk) -> Attempts:
    """Give what runs the trials: a child for each thread, or the thread itself."""
    if sweep.isolation is not None:
        return sweep.isolation.start(desk, sweep.drain)
    from ..attempts import InProcess
    from ..context import Context
    from ..preparation import prepare

    function, store = prepare(sweep.experiment, sweep.include)
    context = Context(
        sweep.experiment.name,
        desk,
        sweep.arrays,
        sweep.drain,
        store,
        allow_pickle=sweep.allow_pickle,
    )
    return InProcess(sweep.experiment, function, context)
