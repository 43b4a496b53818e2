"""Trials that a rank, or the whole job, died of, perhaps: counted, spared, failed.

Where MPI survives a death, the run itself knows whose trial it was and counts it. Where
it does not, the next run finds trials still `running` under a run that never ended.
One of them may have killed the job, and all others are innocent; and a job that a
scheduler killed looks just the same. So that no innocent trial fails:

* nothing is counted where the job was asked to stop before it died;
* nor where trials ran in processes of their own, which kill no rank;
* nor for a trial that saved a snapshot of a new state meanwhile: it gets on;
* two deaths only make a trial a suspect, which is run after all others, and alone;
* a third, while it runs alone, is its failure.

So one poisonous trial stops the job three times at most, and the last time when
everything else is finished.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from ..errors import RankDiedError
from ..trial.outcome import FATAL_DEATHS
from .file.engine import raw
from .file.rows import all_checked, checked
from .file.tables import FAILED, SUSPECTED, UNFINISHED, runs, snapshots, trial_records
from .file.tables import trial_errors as errors
from .lookup import as_id, trial_keys
from .records import page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import ColumnElement, Connection, Row, TextClause

    from .file.storage import Storage
    from .records import TrialKeys, TrialRow

_COUNT = (
    "INSERT INTO trial_records (key, deaths, configuration) VALUES (?, 1, ?) "
    "ON CONFLICT (key) DO UPDATE SET deaths = deaths + 1, status = 0 "
    "WHERE status <> 2"
)
_RUNNING = "AND status <> 2 AND status = 1"
_RELEASE = (
    "UPDATE trial_records SET status = 0 "
    "WHERE status <> 2 AND status = 1 AND key BETWEEN ? AND ?"
)
_FAIL = "UPDATE trial_records SET status = 3, finished_at = ? WHERE key = ?"
_SAY_WHY = (
    "INSERT OR REPLACE INTO trial_errors (key, error_type, error_message, error) "
    "VALUES (?, ?, ?, '')"
)


class Deaths:
    """What deaths have to do with the trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def count(self, keys: TrialKeys, numbers: Iterable[int]) -> None:
        """Count one death against each of these trials, which are pending again."""
        with self._storage.transaction() as connection:
            _count(connection, keys, numbers)

    def release(self, experiment_id: UUID | str) -> None:
        """Give back what was begun and has not ended."""
        with self._storage.transaction() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            connection.exec_driver_sql(_RELEASE, (keys.first, keys.last))

    def excuse(self, run_id: int, reason: str) -> None:
        """Keep why it would be no trial's doing if this run died, as asked to stop."""
        query = update(runs).where(runs.c.id == run_id).values(stop_reason=reason)
        with self._storage.transaction() as connection:
            connection.execute(query)

    def suspects(self, experiment_id: UUID | str) -> dict[int, int]:
        """Return the unfinished trials that deaths count against, and how many."""
        return {
            row.key - first: row.deaths for first, row in self._counted(experiment_id)
        }

    def fatal(self, experiment_id: UUID | str) -> list[int]:
        """Return the trials that failed by deaths: they are not tried again unasked."""
        died = select(errors.c.key).where(errors.c.error_type == RankDiedError.__name__)
        failed = trial_records.c.status == FAILED
        counted = self._counted(experiment_id, failed, trial_records.c.key.in_(died))
        return [row.key - first for first, row in counted]

    def last_run_crashed(self, experiment_id: UUID | str) -> bool:
        """Whether the last run, of several ranks, died without being asked to stop."""
        with self._storage.reading() as connection:
            return _crashed(connection, as_id(experiment_id, "an experiment"))

    def settle(self, experiment_id: UUID | str) -> list[str]:
        """Make what a dead run left running pending again, or failed; see above.

        Returns a line for people on each trial that this was a death too many for.
        """
        with self._storage.transaction() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            left = page(connection, keys, 0, _RUNNING, limit=-1, results=False)
            if not left:
                return []
            suspected = left if _crashed(connection, keys.experiment_id) else []
            counted = [row for row in suspected if not _got_on(connection, row)]
            _count(connection, keys, [row.trial_index for row in counted])
            connection.exec_driver_sql(_RELEASE, (keys.first, keys.last))
            alone = len(left) == 1
            fatal = [row for row in counted if alone and row.deaths >= FATAL_DEATHS]
            return [_fail(connection, keys, row) for row in fatal]

    def _counted(
        self, experiment_id: UUID | str, *conditions: ColumnElement[bool] | TextClause
    ) -> list[tuple[int, Row[Any]]]:
        """Return the first key of the experiment with each trial's row."""
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            mine = trial_records.c.key.between(keys.first, keys.last)
            query = select(trial_records.c.key, trial_records.c.deaths).where(
                mine, SUSPECTED, UNFINISHED, *conditions
            )
            found = connection.execute(query.order_by(trial_records.c.key))
            rows = all_checked(trial_records, found)
        if not keys.is_plain:
            rows = [row for row in rows if row.key - keys.first in keys.asked]
        return [(keys.first, row) for row in rows]


def _count(connection: Connection, keys: TrialKeys, numbers: Iterable[int]) -> None:
    rows = [(keys.key(number), keys.configurations[number]) for number in numbers]
    raw(connection).executemany(_COUNT, rows)


def _crashed(connection: Connection, experiment_id: str) -> bool:
    last = (
        select(runs.c.ended, runs.c.ranks, runs.c.stop_reason)
        .where(runs.c.experiment_id == experiment_id)
        .order_by(runs.c.id.desc())
        .limit(1)
    )
    row = connection.execute(last).first()
    if row is None:
        return False
    checked(runs, row)
    if row.ended != "died" or row.stop_reason is not None:
        return False
    return (row.ranks or 1) > 1


def _got_on(connection: Connection, row: TrialRow) -> bool:
    """Whether the trial saved a state since it began that it had never saved before."""
    mine = snapshots.c.trial_id == row.id
    began = row.started_at or ""
    new = select(snapshots.c.state).where(mine, snapshots.c.created_at >= began)
    old = select(snapshots.c.state).where(mine, snapshots.c.created_at < began)
    query = select(func.count()).select_from(new.except_(old).subquery())
    return bool(connection.execute(query).scalar_one())


def _fail(connection: Connection, keys: TrialKeys, row: TrialRow) -> str:
    times = f"{row.deaths + 1} times"
    where = "" if row.rank is None else f", on rank {row.rank}, {row.hostname}"
    message = (
        f"the job died {times} while it ran, the last time while nothing else did"
        f"{where}"
    )
    key = keys.key(row.trial_index)
    connection.exec_driver_sql(_FAIL, (time.time(), key))
    connection.exec_driver_sql(_SAY_WHY, (key, RankDiedError.__name__, message))
    return f"trial {row.trial_index} is marked failed: {message}"
