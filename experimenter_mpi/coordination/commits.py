"""Group what is recorded into few transactions, without holding anything back long."""

from __future__ import annotations

import threading
import time
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ExperimenterError, counted, pickle_warning, rebuilt
from ..trial.background import in_background
from ..trial.outcome import Status
from . import trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..encoding.codec import Encoded
    from ..trial.outcome import Entry, Failure, RunningTrial
    from .ledger import Ledger

# A commit waits for the disk: so many rows or a tenth of a second share one. More rows
# would keep rank 0 from its workers for longer than they have work for: 10 ms.
MAX_ENTRIES = 2_000
MAX_SECONDS = 0.1
# While trials end one by one, a commit for each would keep the next ones waiting: it
# may take this share of the time, which still makes hundreds of commits a second.
SHARE = 0.1
# Rank 0 holds no more than this and what one message brings.
MAX_BYTES = 64 * 1024 * 1024


class GroupedCommits:
    """Outcomes on their way to a ledger.

    ``on_recorded`` is called with the entries of each transaction after it. An outcome
    says that its results could not be kept: then everything that waits is committed,
    its trial as pending, and ``flush`` raises why. Threads may share it. A commit is
    due after ``seconds``, or once ``most_bytes`` wait.
    """

    def __init__(
        self,
        ledger: Ledger,
        on_recorded: Callable[[Sequence[Entry]], None],
        *,
        seconds: float = MAX_SECONDS,
        most_bytes: int = MAX_BYTES,
    ) -> None:
        self._ledger = ledger
        self._on_recorded = on_recorded
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._waiting: list[Entry] = []
        self._bytes = 0
        self._what_stops: ExperimenterError | None = None
        self._last = float("-inf")
        self._cost = 0.0
        self._guard = threading.RLock()
        self._broken: Exception | None = None
        self._warned: set[tuple[str, str]] = set()

    def add(self, entries: Iterable[Entry]) -> None:
        with self._guard:
            for entry in entries:
                self._waiting.append(self._looked_at(entry))

    def _looked_at(self, entry: Entry) -> Entry:
        results, failure = entry.outcome.results, entry.outcome.failure
        if results is not None:
            self._bytes += len(results.document)
            if results.arrays or results.pickled:
                self._bytes += sum(each.nbytes for each in results.arrays if each.data)
                self.warn_of_pickles(results)
        elif failure is not None and entry.outcome.status == Status.PENDING:
            self._what_stops = self._what_stops or _named(entry, failure)
            return _without_failure(entry)
        return entry

    def due(self) -> bool:
        """Whether a commit should not wait any longer."""
        if len(self._waiting) >= MAX_ENTRIES or self._bytes >= self._most_bytes:
            return True
        if self._what_stops is not None:
            return True
        return time.monotonic() - self._last >= self._seconds

    def patience(self) -> float:
        """Return the seconds for which other work should come before a commit.

        Zero if nothing came for so long that a commit costs little.
        """
        return max(0.0, self._last + self._cost / SHARE - time.monotonic())

    def flush(self, running: Sequence[RunningTrial] = ()) -> None:
        """Commit what waits, and mark ``running`` trials, in one transaction.

        Raises:
            DatabaseError: the ledger refuses, or a rank could not keep its results.
        """
        with self._guard:
            if self._broken is not None:
                raise self._broken
            entries = self._waiting
            began = time.monotonic()
            if entries or running:
                self._ledger.record(entries, running)
                self._waiting, self._bytes = [], 0
                made = counted(len(entries), "outcome")
                trail.decided("commit: %s, %s begun", made, len(running))
            self._last = time.monotonic()
            self._cost = self._last - began
            if entries:
                self._on_recorded(entries)
            if self._what_stops is not None:
                error, self._what_stops = self._what_stops, None
                raise error

    @contextmanager
    def in_background(
        self, before: Callable[[], object] = lambda: None
    ) -> Iterator[None]:
        """Commit in the background while the calling thread is busy with a trial.

        ``before`` is called before each look, and may add entries.
        """
        commit = partial(self._keep_committing, before)
        with in_background(commit, "experimenter_mpi commits"):
            yield

    def _keep_committing(
        self, before: Callable[[], object], over: threading.Event
    ) -> None:
        while not over.wait(self._seconds):
            try:
                before()
                if self._waiting and self.due():
                    self.flush()
            except Exception as error:  # noqa: BLE001 - raised by the thread that waits
                with self._guard:
                    self._broken = error
                return

    def warn_of_pickles(self, encoded: Encoded) -> None:
        """Warn once per key and type: the run may return it a million times."""
        for path, kind in encoded.pickled:
            if (path, kind) not in self._warned:
                self._warned.add((path, kind))
                trail.log(trail.WARNING, "%s", pickle_warning(path, kind))
                warnings.warn(pickle_warning(path, kind), stacklevel=2)


def _named(entry: Entry, failure: Failure) -> ExperimenterError:
    """Return a rank's error, with the rank where it is not this process."""
    place = entry.place
    where = f"rank {place.rank} on {place.hostname}: " if place.rank else ""
    return rebuilt(failure.type, where + failure.message)


def _without_failure(entry: Entry) -> Entry:
    return entry._replace(outcome=entry.outcome._replace(failure=None))
