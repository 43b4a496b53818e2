"""Trials that run longer than ``trial_timeout``: say so, and count them as failed.

Nothing can stop them in this process; see ``isolation`` for what can.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import TrialTimeoutError, WorkLeft, marked
from .outcome import Failure, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from threading import Event

    from .attempt import Attempt, Attempts
    from .outcome import Place

LOOK_SECONDS = 0.25


def overran(limit: float) -> str:
    """Return why a trial failed that exceeded its time limit."""
    return f"it ran longer than the {limit:g} s of --trial-timeout"


def judged(outcome: Outcome, limit: float | None) -> Outcome:
    """Return the outcome, or the failure that it is since it came too late."""
    if limit is None or outcome.duration <= limit:
        return outcome
    if outcome.status == Status.PENDING and outcome.failure is not None:
        return outcome  # the storage's fault, which ends the run
    own = "" if outcome.failure is None else outcome.failure.traceback
    failure = _failure(limit, own)
    return outcome._replace(status=Status.FAILED, results=None, failure=failure)


def outcome_of(index: int, duration: float, limit: float) -> Outcome:
    """Return what is recorded of a trial that may never come back."""
    now = time.time()
    times = now - duration, now
    return Outcome(index, Status.FAILED, None, _failure(limit), *times, duration)


def _failure(limit: float, traceback: str = "") -> Failure:
    kind, message = TrialTimeoutError.__name__, f"overdue: {overran(limit)}"
    return Failure(kind, message, f"{traceback}{kind}: {message}\n")


def notice(index: int, place: Place, limit: float) -> str:
    """Return the line that tells people of an overdue trial."""
    return (
        f"trial {index} on rank {place.rank} ({place.hostname}) is overdue: "
        f"{overran(limit)}; it counts as failed; only --isolate can stop such a trial"
    )


def ended_without(late: Iterable[int | None], left: int) -> TrialTimeoutError:
    """Return the error that ends a run rather than wait for overdue trials."""
    names = sorted(index for index in late if index is not None)
    listed = ", ".join(map(str, names))
    who = (
        f"trial {listed}, which is overdue and failed"
        if len(names) == 1
        else f"trials {listed}, which are overdue and failed"
    )
    rest = f"; {left} left, rerun the same command to continue" if left else ""
    error = TrialTimeoutError(f"ended without {who}{rest}")
    return marked(error, WorkLeft) if left else error


class Watched:
    """Implements ``Attempts`` by another one.

    While ``looking`` a thread calls ``say`` once for each trial that is overdue.
    """

    def __init__(
        self, attempts: Attempts, limit: float, say: Callable[[int], object]
    ) -> None:
        self._attempts = attempts
        self._limit = limit
        self._say = say
        self._running: dict[int, float] = {}

    def run(self, index: int) -> Attempt:
        self._running[index] = time.monotonic()
        try:
            return self._attempts.run(index)
        finally:
            self._running.pop(index, None)

    def close(self) -> None:
        self._attempts.close()

    def look(self, now: float) -> None:
        """Report trials that have become overdue, each once."""
        for index, since in list(self._running.items()):
            if now - since > self._limit and self._running.pop(index, 0.0):
                self._say(index)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Check every quarter of a second, on a thread, until the end."""
        from .background import in_background  # not on workers without a limit

        def look(over: Event) -> None:
            while not over.wait(LOOK_SECONDS):
                self.look(time.monotonic())

        with in_background(look, "experimenter_mpi overdue trials"):
            yield
