"""Run a batch of trials where an executor calls: on a thread, or on a worker rank."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from .attempts import Attempts
    from .context import Watch
    from .ledger import Place
    from .mpi.messages import Ranges

# A batch was sized for short trials. Where they are not, the rest of it goes back.
LONGEST_SECONDS = 0.1


class Station(NamedTuple):
    """What trials are run with: one per process, shared by its threads.

    ``say_begun`` is told the first trial of each batch as it begins.
    """

    attempts: Attempts
    watch: Watch
    place: Place
    say_begun: Callable[[int], object]


class Reports(Protocol):
    """Takes attempts as they end; see ``reports.Reports``."""

    def begin(self) -> None:
        """Begin a batch."""

    def add(self, attempt: Attempt) -> None:
        """Take an attempt, and maybe send it."""

    def take(self) -> tuple[tuple[Attempt, ...], tuple[int, ...]]:
        """End a batch: give what was not sent, and the trials that were."""


class Report(NamedTuple):
    """What became of a batch, and where.

    ``sent`` are trials that are reported by other ways; those in neither are untouched.
    """

    place: Place
    attempts: tuple[Attempt, ...]
    sent: tuple[int, ...] = ()

    def to_send(self) -> Report:
        """Give the report without exceptions, which need not survive pickling."""
        kept = tuple(Attempt(each.outcome) for each in self.attempts)
        return self._replace(attempts=kept)


def indices_of(ranges: Ranges) -> list[int]:
    """Give the trials that ranges of indices, without their ends, name."""
    return [index for start, stop in ranges for index in range(start, stop)]


def run_batch(station: Station, reports: Reports, ranges: Ranges) -> Report:
    """Run trials in order, until the run drains or they turn out to be long."""
    reports.begin()
    give_back_at = time.monotonic() + LONGEST_SECONDS
    for count, index in enumerate(indices_of(ranges)):
        if station.watch.requested():
            break
        if count and time.monotonic() >= give_back_at:
            break
        if not count:
            station.say_begun(index)
        reports.add(station.attempts.run(index))
    return Report(station.place, *reports.take())
