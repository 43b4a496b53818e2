"""What a run may ask of the place where results are kept.

Coordinator and modes know this Protocol alone; the database implements it, and tests
keep a list. What passes through is encoded already: whoever implements it moves text
and bytes and never needs to understand them.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..encoding.codec import Encoded


# How often its rank may die while a trial runs before that is the trial's failure.
FATAL_DEATHS = 2


class Status:
    """The states of a trial, as they stand in the database."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Failure(NamedTuple):
    """Why a trial failed: the exception's type and message, and its traceback."""

    type: str
    message: str
    traceback: str


def iso(seconds: float) -> str:
    """Return seconds since the epoch as ``2026-01-31T12:00:00.123456+00:00``.

    ISO 8601 in UTC, which SQLite's functions read: how all times are kept.
    """
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micros:06d}+00:00"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    # Fast trials share their second, and this is asked twice for each of them.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


class Outcome(NamedTuple):
    """What became of one attempt at one trial.

    ``status`` is finished (then ``results`` is there), failed (then ``failure`` is)
    or pending (the trial put itself back; with a ``failure``, what it had to keep could
    not be kept, and the run is to end). ``started_at`` and ``finished_at`` are
    for people, as ``iso`` gives them; ``duration`` is seconds of a steady clock.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    status: str
    results: Encoded | None
    failure: Failure | None
    started_at: str
    finished_at: str
    duration: float


class Place(NamedTuple):
    """Where a trial runs."""

    rank: int
    hostname: str


class Entry(NamedTuple):
    """An outcome and where it came from: what the ledger records."""

    outcome: Outcome
    place: Place


class StoredSnapshot(NamedTuple):
    """A snapshot as it is kept: the state encoded."""

    id: str
    trial_id: str
    state: Encoded
    label: str | None
    created_at: str


class Ledger(Protocol):
    """Where one experiment's outcomes and snapshots are kept while it runs.

    Trials of the experiment that runs are named by index, any trial of the database
    by its id. Each method is one transaction, durable when it returns.
    """

    def record(self, entries: Sequence[Entry], running: Iterable[RunningTrial]) -> None:
        """Store outcomes, and which trials run now.

        Safe to repeat: a trial that has finished keeps its first results.
        """

    def count_deaths(self, indices: Sequence[int]) -> None:
        """Count a death of their rank against trials, which are then pending again."""

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        """Add a snapshot. Raises NotFoundError where there is no such trial."""

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        """Return the trial's last snapshot by sequence number."""

    def results_of(self, trial_id: str) -> Encoded | None:
        """Return any trial's results, None while it is unfinished."""

    def complete(self, trial_id: str, results: Encoded) -> None:
        """Store results of any trial, which is then finished."""

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        """Write a piece of an array file; with the last one it is whole and durable."""

    def piece(self, file: str, offset: int, size: int) -> bytes:
        """Return bytes of an array file, none beyond its end."""


class RunningTrial(NamedTuple):
    """A trial that runs now, since when (seconds since the epoch), and where.

    ``place`` is None while an executor has not said where it runs.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    started_at: float
    place: Place | None
