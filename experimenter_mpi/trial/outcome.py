"""What is recorded of trials: how one ended, where, and what it saved.

Results and states are encoded already, as text and bytes that rank 0 only moves.
"""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from ..encoding.codec import Encoded

if TYPE_CHECKING:
    from collections.abc import Iterable


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

    ISO 8601 in UTC, which SQLite's functions read. The view ``trials`` computes the
    same, digit for digit.
    """
    whole, micros = divmod(int(seconds * 1_000_000 + 0.5), 1_000_000)
    return f"{_second(whole)}.{micros:06d}+00:00"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    # Fast trials share their second, and this is asked twice for each of them.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


class Outcome(NamedTuple):
    """What became of one attempt at one trial.

    ``status`` is finished (then ``results`` is there), failed (then ``failure`` is)
    or pending (the trial put itself back; with a ``failure``, what it had to keep could
    not be kept, and the run is to end). ``started_at`` and ``finished_at`` are seconds
    since the epoch, for people; ``duration`` is seconds of a steady clock.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    status: str
    results: Encoded | None
    failure: Failure | None
    started_at: float
    finished_at: float
    duration: float


# Outcomes as they travel: each field of all of them, and of results that are all text
# that text. One by one, named as they are, they cost six times as much to pickle.
Columns = tuple[tuple[Any, ...], ...]


def spread(outcomes: Iterable[Outcome]) -> Columns:
    """Return the fields of outcomes, none where there are no outcomes."""
    fields = tuple(zip(*outcomes, strict=True))
    if not fields:
        return ()
    index, status, results, *others = fields
    texts = tuple(r[0] if r and not (r[1] or r[2]) else r for r in results)
    return index, status, texts, *others


def gathered(columns: Columns) -> tuple[Outcome, ...]:
    """Return what ``spread`` was given."""
    if not columns:
        return ()
    index, status, texts, *others = columns
    new = tuple.__new__  # a named tuple's own is a function of Python's
    none: Any = ()
    results = [new(Encoded, (r, none, none)) if type(r) is str else r for r in texts]
    rows = zip(index, status, results, *others, strict=True)
    return tuple(map(new, repeat(Outcome), rows))


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


class RunningTrial(NamedTuple):
    """A trial that runs now, since when (seconds since the epoch), and where.

    ``place`` is None while an executor has not said where it runs.
    """

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses
    started_at: float
    place: Place | None
