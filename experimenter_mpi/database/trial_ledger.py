"""The ledger that a run writes to: one experiment's part of the database."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ..errors import DatabaseError
from ..trial.outcome import Status, StoredSnapshot
from . import documents, finished
from .deaths import Deaths
from .file.engine import raw
from .file.tables import STATUSES
from .files import remove_unused
from .lookup import trial_keys, trial_row
from .pruning import Pruning
from .records import place_number
from .snapshots import Snapshots
from .trials import Trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from sqlalchemy import Connection

    from ..encoding.array_files import ArrayFiles
    from ..encoding.codec import ArrayRecord, Encoded
    from ..trial.outcome import Entry, Outcome, Place, RunningTrial
    from .file.storage import Storage

# Plain SQL for the driver's executemany: each value that is not bound for every row
# counts, so {run} is part of the text. A trial that was never marked is one INSERT.
# An attempt was counted when it began, unless it was over before anyone could say so.
_FINISH = (
    "INSERT INTO trial_records (key, status, attempts, started_at, finished_at, "
    "duration, place, run_id, configuration, results) "
    "VALUES (?, 2, 1, ?, ?, ?, ?, {run}, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "attempts = attempts + (status <> 1), status = 2, results = excluded.results, "
    "started_at = excluded.started_at, finished_at = excluded.finished_at, "
    "duration = excluded.duration, place = excluded.place, run_id = excluded.run_id "
    "WHERE status <> 2"
)
_RECORD = (
    "INSERT INTO trial_records (key, status, attempts, started_at, finished_at, "
    "duration, place, run_id, configuration) "
    "VALUES (?, ?, 1, ?, ?, ?, ?, {run}, ?) ON CONFLICT (key) DO UPDATE SET "
    "attempts = attempts + (status <> 1), status = excluded.status, results = NULL, "
    "started_at = excluded.started_at, finished_at = excluded.finished_at, "
    "duration = excluded.duration, place = excluded.place, run_id = excluded.run_id "
    "WHERE status <> 2"
)
_RUN = (
    "INSERT INTO trial_records (key, status, attempts, started_at, place, run_id, "
    "configuration) VALUES (?, 1, 1, ?, ?, {run}, ?) ON CONFLICT (key) DO UPDATE SET "
    "attempts = attempts + (status <> 1), status = 1, "
    "started_at = excluded.started_at, place = excluded.place, "
    "run_id = excluded.run_id WHERE status <> 2"
)
# A trial that was completed while it ran, by itself or by another, and was never marked
# as running: its results stay, and its attempt counts all the same.
_COUNT_ATTEMPT = (
    "UPDATE trial_records SET attempts = attempts + 1, started_at = ?, duration = ?, "
    "place = ? WHERE key = ? AND status = 2 AND place IS NULL"
)
_FORGET_ERROR = (
    "DELETE FROM trial_errors WHERE key = ?1 AND EXISTS "
    "(SELECT 1 FROM trial_records WHERE key = ?1 AND status <> 2)"
)
_KEEP_ERROR = (
    "INSERT INTO trial_errors (key, error_type, error_message, error) "
    "SELECT ?1, ?2, ?3, ?4 WHERE EXISTS "
    "(SELECT 1 FROM trial_records WHERE key = ?1 AND status <> 2)"
)
_HAS_ERRORS = "SELECT 1 FROM trial_errors WHERE key BETWEEN ? AND ? LIMIT 1"


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
        with storage.reading() as connection:
            self._keys = trial_keys(storage, connection, experiment_id)
            within = self._keys.first, self._keys.last
            found = connection.exec_driver_sql(_HAS_ERRORS, within).first()
        # Nothing is to be deleted of an experiment in which nothing has failed.
        self._has_errors = found is not None
        self._places: dict[Place, int] = {}
        self._trials = Trials(storage)
        self._deaths = Deaths(storage)
        self._snapshots = Snapshots(storage)
        self._pruning = (
            None
            if keep_snapshots is None
            else Pruning(self._keys.experiment_id, keep_snapshots)
        )

    def record(self, entries: Sequence[Entry], running: Iterable[RunningTrial]) -> None:
        payloads = self._payloads(entry.outcome for entry in entries)
        try:
            with self._storage.transaction() as connection:
                experiment_id = self._keys.experiment_id
                documents.keep_results_arrays(connection, experiment_id, payloads)
                # In order: a trial may be among them twice.
                for is_finished, group in groupby(entries, _has_finished):
                    record = self._record_ends if is_finished else self._record_others
                    record(connection, list(group))
                self._record_running(connection, running)
                unused = self._prune(connection, entries)
        except BaseException:
            self._places.clear()  # they may not have been committed
            raise
        remove_unused(self._storage, unused)

    def _prune(self, connection: Connection, entries: Sequence[Entry]) -> set[str]:
        if self._pruning is None:
            return set()
        ids = (self._keys.ids.text(entry.outcome.index) for entry in entries)
        return self._pruning.after_attempts(connection, ids)

    def _record_ends(self, connection: Connection, entries: list[Entry]) -> None:
        first, texts = self._keys.first, self._keys.configurations
        rows = [
            (
                first + outcome.index,
                outcome.started_at,
                outcome.finished_at,
                outcome.duration,
                self._place(connection, place),
                texts[outcome.index],
                None if outcome.results is None else outcome.results.document,
            )
            for outcome, place in entries
        ]
        if self._has_errors:
            raw(connection).executemany(_FORGET_ERROR, [row[:1] for row in rows])
        done = raw(connection).executemany(self._finish, rows).rowcount
        finished.add(connection, self._keys.sequence, done)
        if done < len(rows):
            self._count_attempts(connection, entries)

    def _record_others(self, connection: Connection, entries: list[Entry]) -> None:
        """Record failures, and trials that put themselves back."""
        first, texts = self._keys.first, self._keys.configurations
        rows = [
            (
                first + outcome.index,
                STATUSES.index(outcome.status),
                outcome.started_at,
                None if outcome.status == Status.PENDING else outcome.finished_at,
                outcome.duration,
                self._place(connection, place),
                texts[outcome.index],
            )
            for outcome, place in entries
        ]
        driver = raw(connection)
        if self._has_errors:
            driver.executemany(_FORGET_ERROR, [row[:1] for row in rows])
        # The last word on a trial counts, which may be among them twice.
        last = {entry.outcome.index: entry.outcome.failure for entry in entries}
        if driver.executemany(self._not_finished, rows).rowcount < len(rows):
            self._count_attempts(connection, entries)
        errors = [
            (first + index, *map(documents.storable, failure))
            for index, failure in last.items()
            if failure is not None
        ]
        self._has_errors = self._has_errors or bool(errors)
        driver.executemany(_KEEP_ERROR, errors)

    def _count_attempts(self, connection: Connection, entries: list[Entry]) -> None:
        counts = [
            (
                outcome.started_at,
                outcome.duration,
                self._place(connection, place),
                self._keys.key(outcome.index),
            )
            for outcome, place in entries
        ]
        raw(connection).executemany(_COUNT_ATTEMPT, counts)

    def _record_running(
        self, connection: Connection, running: Iterable[RunningTrial]
    ) -> None:
        marks = [
            (
                self._keys.key(index),
                started_at,
                # None: it runs, and nobody has said where.
                None if place is None else self._place(connection, place),
                self._keys.configurations[index],
            )
            for index, started_at, place in running
        ]
        if marks:
            raw(connection).executemany(self._mark, marks)

    def _place(self, connection: Connection, place: Place) -> int:
        """Return the number by which the database knows a rank on a host."""
        known = self._places.get(place)
        if known is None:
            known = self._places[place] = place_number(connection, *place)
        return known

    def count_deaths(self, indices: Sequence[int]) -> None:
        self._deaths.count(self._keys, indices)

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        settled = documents.settled(self._storage, state)
        save, pruning = self._snapshots.save_encoded, self._pruning
        save(trial_id, settled, label, self._run_id, pruning, self._keys)

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        found = self._snapshots.latest_encoded(trial_id, self._keys)
        if found is None:
            return None
        row, state = found
        self._on_resumed(row.trial_id, row.run_id)
        return StoredSnapshot(row.id, row.trial_id, state, row.label, row.created_at)

    def results_of(self, trial_id: str) -> Encoded | None:
        with self._storage.reading() as connection:
            row = trial_row(self._storage, connection, trial_id)
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

    def _payloads(
        self, outcomes: Iterable[Outcome]
    ) -> list[tuple[int, tuple[ArrayRecord, ...]]]:
        """Return the arrays of each trial's results, the large ones in files by now."""
        return [
            (
                self._keys.key(outcome.index),
                documents.settled(self._storage, outcome.results).arrays,
            )
            for outcome in outcomes
            if outcome.results is not None and outcome.results.arrays
        ]


def _has_finished(entry: Entry) -> bool:
    return entry.outcome.status == Status.FINISHED
