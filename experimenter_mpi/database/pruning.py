"""A run that keeps few snapshots of each trial, and which those are.

The newest, and as long as an attempt at the trial runs, the newest from before it:
whether a trial that a job died of had got on is seen by comparing the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from ..trial.outcome import Status
from .file.tables import snapshots
from .garbage import forget_snapshots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from .records import TrialRow

_BEFORE = select(func.max(snapshots.c.sequence)).where(
    snapshots.c.trial_id == bindparam("trial_id"),
    snapshots.c.created_at < bindparam("began"),
)


class Pruning:
    """Deletes surplus snapshots inside of the transactions that make them surplus.

    Each method returns array files to be removed after the commit.
    """

    def __init__(self, experiment_id: str, keep: int) -> None:
        self._experiment_id = experiment_id
        self._keep = keep
        # Trials of which one more than that is kept.
        self._spared: set[str] = set()

    def after_saving(self, connection: Connection, trial: TrialRow) -> set[str]:
        """Delete what a new snapshot of the trial makes surplus."""
        before = None
        if trial.status == Status.RUNNING and trial.started_at is not None:
            query = {"trial_id": trial.id, "began": trial.started_at}
            before = connection.execute(_BEFORE, query).scalar_one()
        if before is not None and trial.experiment_id == self._experiment_id:
            self._spared.add(trial.id)
        return forget_snapshots(
            connection, trial.experiment_id, trial.id, keep=self._keep, spared=before
        )

    def after_attempts(self, connection: Connection, ids: Iterable[str]) -> set[str]:
        """Delete what was kept of these trials while they ran."""
        files: set[str] = set()
        for trial_id in self._spared.intersection(ids):
            files |= forget_snapshots(
                connection, self._experiment_id, trial_id, keep=self._keep
            )
            self._spared.discard(trial_id)
        return files
