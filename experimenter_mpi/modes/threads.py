"""The threads of MultithreadedMode: all they do and ask goes to ``pool``'s loop."""

from __future__ import annotations

import os
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..attempt import trial_error
from ..attempts import in_process
from ..batches import Station, run_batch
from ..errors import ProtocolError, rebuilt
from ..ledger import Place
from ..mpi import messages as m
from ..mpi.executors import thread_pool
from ..mpi.questions import Questions
from .pool import REFUSAL, Heard, Inbox, Lane, Tried, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from ..attempt import Attempt
    from ..attempts import Attempts
    from ..sweep import Sweep


def run_on_threads(
    sweep: Sweep, threads: int, say_busy: Callable[[bool], object]
) -> None:
    """Run the sweep's trials on so many threads; see ``MultithreadedMode.run``."""
    place = Place(0, os.uname().nodename)
    inbox: Inbox = SimpleQueue()
    desk = ThreadDesk(inbox, place)
    if sweep.isolation is None:
        attempts: Attempts = in_process(sweep, desk)
    else:
        attempts = sweep.isolation.start(desk, sweep.drain)

    def say_begun(index: int) -> None:
        inbox.put(Heard(place, m.Begun(index), lambda _: None))

    station = Station(attempts, sweep.drain, place, say_begun)
    # One thread each: mpi4py's pool of several may start more than it was told to.
    pools = [thread_pool(1) for _ in range(threads)]
    lanes = [_lane(pool, station, inbox) for pool in pools]
    say_busy(True)
    try:
        failed = run_in_pool(sweep, lanes, inbox)
    finally:
        desk.close()
        attempts.close()
        busy = any(not each.done() for lane in lanes for each in lane.futures)
        for pool in pools:
            pool.shutdown(wait=not busy, cancel_futures=True)
        say_busy(busy)
    if sweep.raise_errors and failed is not None:
        raise failed.exception or trial_error(failed.entry)


def _lane(pool: Executor, station: Station, inbox: Inbox) -> Lane:
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
        self._inbox.put(Tried(self._place, attempt))
        self._sent.append(attempt.outcome.index)

    def take(self) -> tuple[tuple[Attempt, ...], tuple[int, ...]]:
        return (), tuple(self._sent)


class ThreadDesk(Questions):
    """Lets trials on threads of this process ask the thread that runs the loop."""

    def __init__(self, inbox: Inbox, place: Place) -> None:
        self._inbox = inbox
        self._place = place
        self._closed = False

    def ask(self, question: m.Message, expected: type) -> Any:
        """Ask the loop's thread, and wait for it."""
        answers: SimpleQueue[m.Message] = SimpleQueue()
        self._inbox.put(Heard(self._place, question, answers.put))
        answer = REFUSAL if self._closed else answers.get()
        if isinstance(answer, m.Refused):
            raise rebuilt(answer.error, answer.message)
        if not isinstance(answer, expected):
            msg = f"{type(question).__name__} was answered by {answer}"
            raise ProtocolError(msg)
        return answer

    def close(self) -> None:
        """Refuse what is still asked: the loop answers no more."""
        self._closed = True
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, Heard):
                event.refuse()
