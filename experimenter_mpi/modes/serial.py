"""SerialMode: one trial after the other in this process, without importing MPI."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..attempt import trial_error
from ..attempts import in_process
from ..ledger import Entry, Place, RunningTrial, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..attempts import Attempts
    from ..codec import Encoded
    from ..commits import GroupedCommits
    from ..ledger import Ledger, StoredSnapshot
    from ..sweep import Sweep


class _LocalDesk:
    """Answers a trial's requests from the ledger in this process."""

    def __init__(self, ledger: Ledger, commits: GroupedCommits) -> None:
        self._ledger = ledger
        self._commits = commits

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        self._commits.warn_of_pickles(state)
        self._ledger.save_snapshot(trial_id, state, label)

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        return self._ledger.latest_snapshot(trial_id)

    def results_of(self, trial_id: str) -> Encoded | None:
        self._commits.flush()  # what finished before the question is part of the answer
        return self._ledger.results_of(trial_id)

    def complete(self, trial_id: str, results: Encoded) -> None:
        self._commits.warn_of_pickles(results)
        self._ledger.complete(trial_id, results)


def run_serially(sweep: Sweep) -> None:
    """Run the sweep's trials in order.

    Raises:
        BaseException: what a trial raised, if the sweep is to raise errors.
    """
    from ..commits import GroupedCommits  # not on workers, which import this mode

    commits = GroupedCommits(sweep.ledger, sweep.on_recorded)
    place = Place(0, os.uname().nodename)
    with _attempts(sweep, _LocalDesk(sweep.ledger, commits), place) as attempts:
        _run_all(sweep, commits, place, attempts)


@contextmanager
def _attempts(sweep: Sweep, desk: _LocalDesk, place: Place) -> Iterator[Attempts]:
    """Give what runs the trials: children of this process, or it itself."""
    if sweep.isolation is not None:
        isolated = sweep.isolation.start(desk, sweep.drain)
        try:
            yield isolated
        finally:
            isolated.close()
        return
    here = in_process(sweep, desk)
    limit = sweep.trial_timeout
    if limit is None:
        yield here
        return
    from ..overdue import Watched, notice

    watched = Watched(here, limit, lambda i: sweep.note(notice(i, place, limit)))
    with watched.looking():
        yield watched


def _run_all(
    sweep: Sweep, commits: GroupedCommits, place: Place, attempts: Attempts
) -> None:
    from ..mpi.pace import Pace  # not on workers, which import this mode

    pace = Pace(1)
    try:
        with commits.in_background():
            for index in sweep.indices():
                if sweep.drain.requested() or sweep.drain.runs_out(pace.expected(1)):
                    break
                if commits.due():
                    # Also says which trial runs now, for whoever watches the database.
                    commits.flush([RunningTrial(index, time.time(), place)])
                # A child can be killed: no reason to end this process.
                sweep.drain.in_trial = sweep.isolation is None
                outcome, exception = attempts.run(index)
                sweep.drain.in_trial = False
                commits.add([Entry(outcome, place)])
                pace.learn([outcome])
                if sweep.raise_errors and outcome.status == Status.FAILED:
                    raise exception or trial_error(Entry(outcome, place))
    finally:
        commits.flush()
