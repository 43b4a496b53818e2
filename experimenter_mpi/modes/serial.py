"""SerialMode: one trial after the other in this process, without importing MPI."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ..attempt import attempt
from ..context import Context
from ..ledger import Entry, Place, RunningTrial, Status
from ..preparation import prepare

if TYPE_CHECKING:
    from ..codec import Encoded
    from ..commits import GroupedCommits
    from ..ledger import Ledger, StoredSnapshot
    from ..sweep import Sweep


class SerialMode:
    """Run trials one by one in this process; pdb works."""

    def __repr__(self) -> str:
        return "SerialMode()"

    def run(self, sweep: Sweep) -> None:
        """Run all trials of the sweep, or until it drains."""
        run_serially(sweep)


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
    # Not on workers, which import this mode.
    from ..commits import GroupedCommits
    from ..mpi.dispatch import Pace

    commits = GroupedCommits(sweep.ledger, sweep.on_recorded)
    prepared = prepare(sweep.experiment, sweep.include)
    context = Context(
        sweep.experiment.name,
        _LocalDesk(sweep.ledger, commits),
        sweep.arrays,
        sweep.drain,
        prepared.store,
        allow_pickle=sweep.allow_pickle,
    )
    place = Place(0, os.uname().nodename)
    pace = Pace(1)
    try:
        with commits.in_background():
            for index in sweep.indices():
                if sweep.drain.requested() or sweep.drain.runs_out(pace.expected(1)):
                    break
                if commits.due():
                    # Also says which trial runs now, for whoever watches the database.
                    commits.flush([RunningTrial(index, time.time(), place)])
                trial = sweep.experiment[index]
                sweep.drain.in_trial = True
                outcome, exception = attempt(prepared.function, trial, context)
                sweep.drain.in_trial = False
                commits.add([Entry(outcome, place)])
                pace.learn([outcome])
                if isinstance(exception, KeyboardInterrupt):
                    sweep.drain.request("KeyboardInterrupt")
                failed = outcome.status == Status.FAILED
                if sweep.raise_errors and failed and exception:
                    raise exception
    finally:
        commits.flush()
