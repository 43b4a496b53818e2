"""The ledger that a run writes to: one experiment's part of the database."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

from ..errors import DatabaseError
from ..experiment.experiment import TrialIds
from ..trial.outcome import Status, StoredSnapshot, iso
from . import documents
from .deaths import Deaths
from .file.tables import trials
from .files import remove_unused
from .lookup import as_id, trial_row
from .pruning import Pruning
from .snapshots import Snapshots
from .trials import Trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from ..encoding.array_files import ArrayFiles
    from ..encoding.codec import ArrayRecord, Encoded
    from ..trial.outcome import Entry, Outcome, Place, RunningTrial
    from .file.storage import Storage

# A trial that runs, and nobody has said where.
NOWHERE = None, None

# Plain SQL for the driver's executemany, as in experiments.py: 119,000 rows against
# 65,000 per second of processor time; and 200,000 of those that have finished, for
# each value that is not bound for every row counts: so {run} is part of the text.
# An attempt was counted when it began, unless it was over before anyone could say so.
_FINISH = (
    "UPDATE trials SET attempts = attempts + (status <> 'running'), "
    "status = 'finished', results = ?, error_type = NULL, error_message = NULL, "
    "error = NULL, started_at = ?, finished_at = ?, duration = ?, rank = ?, "
    "hostname = ?, run_id = {run} WHERE id = ? AND status <> 'finished'"
)
_RECORD = (
    "UPDATE trials SET attempts = attempts + (status <> 'running'), status = ?, "
    "results = ?, error_type = ?, error_message = ?, error = ?, started_at = ?, "
    "finished_at = ?, duration = ?, rank = ?, hostname = ?, run_id = {run} "
    "WHERE id = ? AND status <> 'finished'"
)
_RUN = (
    "UPDATE trials SET attempts = attempts + (status <> 'running'), "
    "status = 'running', started_at = ?, rank = ?, hostname = ?, run_id = {run} "
    "WHERE id = ? AND status <> 'finished'"
)
# A trial that was completed while it ran, by itself or by another, and was never marked
# as running: its results stay, and its attempt counts all the same.
_COUNT_ATTEMPT = (
    "UPDATE trials SET attempts = attempts + 1, started_at = ?, duration = ?, "
    "rank = ?, hostname = ? WHERE id = ? AND status = 'finished' AND rank IS NULL"
)


class TrialLedger:
    """Implements ``Ledger`` for one experiment; see there.

    Only the newest ``keep_snapshots`` of a trial stay, None for all. ``on_resumed`` is
    told the trial, and of which run it is, of each snapshot that is asked for.
    """

    def __init__(
        self,
        storage: Storage,
        experiment_id: UUID | str,
        run_id: int | None = None,
        *,
        keep_snapshots: int | None = None,
        on_resumed: Callable[[str, int | None], object] = lambda *_: None,
    ) -> None:
        self._storage = storage
        self._run_id = run_id
        self._on_resumed = on_resumed
        run = "NULL" if run_id is None else str(int(run_id))
        self._finish, self._not_finished, self._mark = (
            statement.format(run=run) for statement in (_FINISH, _RECORD, _RUN)
        )
        self._experiment_id = as_id(experiment_id, "an experiment")
        self._id_of = TrialIds(UUID(self._experiment_id)).text
        self._trials = Trials(storage)
        self._deaths = Deaths(storage)
        self._snapshots = Snapshots(storage)
        self._pruning = (
            None
            if keep_snapshots is None
            else Pruning(self._experiment_id, keep_snapshots)
        )

    def record(self, entries: Sequence[Entry], running: Iterable[RunningTrial]) -> None:
        marks = [
            (iso(each.started_at), *(each.place or NOWHERE), self._id_of(each.index))
            for each in running
        ]
        payloads = self._payloads(entry.outcome for entry in entries)
        with self._storage.transaction() as connection:
            documents.keep_results_arrays(connection, self._experiment_id, payloads)
            # In order: a trial may be among them twice.
            for finished, group in groupby(entries, _has_finished):
                self._record(connection, list(group), finished=finished)
            if marks:
                connection.exec_driver_sql(self._mark, marks)
            unused = self._prune(connection, entries)
        remove_unused(self._storage, unused)

    def _prune(self, connection: Connection, entries: Sequence[Entry]) -> set[str]:
        if self._pruning is None:
            return set()
        ids = (self._id_of(entry.outcome.index) for entry in entries)
        return self._pruning.after_attempts(connection, ids)

    def _record(
        self, connection: Connection, entries: list[Entry], *, finished: bool
    ) -> None:
        statement = self._finish if finished else self._not_finished
        row = self._end if finished else self._row
        rows = [row(*entry) for entry in entries]
        if connection.exec_driver_sql(statement, rows).rowcount < len(rows):
            counts = [self._count(*entry) for entry in entries]
            connection.exec_driver_sql(_COUNT_ATTEMPT, counts)

    def count_deaths(self, indices: Sequence[int]) -> None:
        self._deaths.count([self._id_of(index) for index in indices])

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        settled = documents.settled(self._storage, state)
        save, pruning = self._snapshots.save_encoded, self._pruning
        save(trial_id, settled, label, self._run_id, pruning)

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        found = self._snapshots.latest_encoded(trial_id)
        if found is None:
            return None
        row, state = found
        self._on_resumed(row.trial_id, row.run_id)
        return StoredSnapshot(row.id, row.trial_id, state, row.label, row.created_at)

    def results_of(self, trial_id: str) -> Encoded | None:
        with self._storage.reading() as connection:
            row = trial_row(
                self._storage,
                connection,
                trial_id,
                trials.c.experiment_id,
                trials.c.results,
            )
            if row.results is None:
                return None
            return documents.with_arrays(connection, row.experiment_id, row.results)

    def complete(self, trial_id: str, results: Encoded) -> None:
        settled = documents.settled(self._storage, results)
        self._trials.complete_encoded(trial_id, settled, self._run_id)

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        self._files().add_piece(file, offset, data, is_last=is_last)

    def piece(self, file: str, offset: int, size: int) -> bytes:
        return self._files().piece(file, offset, size)

    def _files(self) -> ArrayFiles:
        if self._storage.files is None:
            msg = f"{self._storage.name} has no folder for array files"
            raise DatabaseError(msg)
        return self._storage.files

    def _end(self, outcome: Outcome, place: Place) -> tuple[object, ...]:
        index, _, results, _, started_at, finished_at, duration = outcome
        document = None if results is None else results.document
        return document, started_at, finished_at, duration, *place, self._id_of(index)

    def _row(self, outcome: Outcome, place: Place) -> tuple[object, ...]:
        failure = outcome.failure
        document, started_at, finished_at, *where = self._end(outcome, place)
        return (
            outcome.status,
            document,
            *(map(documents.storable, failure) if failure else (None, None, None)),
            started_at,
            None if outcome.status == Status.PENDING else finished_at,
            *where,
        )

    def _count(self, outcome: Outcome, place: Place) -> tuple[object, ...]:
        where = (*place, self._id_of(outcome.index))
        return outcome.started_at, outcome.duration, *where

    def _payloads(
        self, outcomes: Iterable[Outcome]
    ) -> list[tuple[str, tuple[ArrayRecord, ...]]]:
        """Return the arrays of each trial's results, the large ones in files by now."""
        return [
            (
                self._id_of(outcome.index),
                documents.settled(self._storage, outcome.results).arrays,
            )
            for outcome in outcomes
            if outcome.results is not None and outcome.results.arrays
        ]


def _has_finished(entry: Entry) -> bool:
    return entry.outcome.status == Status.FINISHED
