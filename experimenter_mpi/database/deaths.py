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

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, update

from ..errors import RankDiedError
from ..trial.outcome import FATAL_DEATHS, Status
from .file import timestamps
from .file.rows import all_checked, checked
from .file.tables import SUSPECTED, UNFINISHED, runs, snapshots, trials
from .lookup import as_id

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement, Connection, Row

    from .file.storage import Storage

_COUNT = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"), UNFINISHED)
    .values(deaths=trials.c.deaths + 1, status=Status.PENDING)
)
_FAIL = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"))
    .values(
        status=Status.FAILED,
        finished_at=bindparam("now"),
        error_type=RankDiedError.__name__,
        error_message=bindparam("message"),
        error="",
    )
)


class Deaths:
    """What deaths have to do with the trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def count(self, trial_ids: list[str]) -> None:
        """Count one death against each of these trials, which are pending again."""
        with self._storage.transaction() as connection:
            connection.execute(_COUNT, [{"trial_id": each} for each in trial_ids])

    def excuse(self, run_id: int, reason: str) -> None:
        """Keep why it would be no trial's doing if this run died, as asked to stop."""
        query = update(runs).where(runs.c.id == run_id).values(stop_reason=reason)
        with self._storage.transaction() as connection:
            connection.execute(query)

    def suspects(self, experiment_id: UUID | str) -> dict[int, int]:
        """Return the unfinished trials that deaths count against, and how many."""
        return {row.trial_index: row.deaths for row in self._counted(experiment_id)}

    def fatal(self, experiment_id: UUID | str) -> list[int]:
        """Return the trials that failed by deaths: they are not tried again unasked."""
        died = trials.c.error_type == RankDiedError.__name__
        failed = (trials.c.status == Status.FAILED) & died
        return [row.trial_index for row in self._counted(experiment_id, failed)]

    def last_run_crashed(self, experiment_id: UUID | str) -> bool:
        """Whether the last run, of several ranks, died without being asked to stop."""
        with self._storage.reading() as connection:
            return _crashed(connection, as_id(experiment_id, "an experiment"))

    def settle(self, experiment_id: UUID | str) -> list[str]:
        """Make what a dead run left running pending again, or failed; see above.

        Returns a line for people on each trial that this was a death too many for.
        """
        text = as_id(experiment_id, "an experiment")
        running = (trials.c.experiment_id == text) & (trials.c.status == Status.RUNNING)
        with self._storage.transaction() as connection:
            query = select(trials).where(running, UNFINISHED)
            left = all_checked(trials, connection.execute(query).all())
            if not left:
                return []
            suspected = left if _crashed(connection, text) else []
            counted = [row for row in suspected if not _got_on(connection, row)]
            if counted:
                connection.execute(_COUNT, [{"trial_id": row.id} for row in counted])
            release = update(trials).where(running, UNFINISHED)
            connection.execute(release.values(status=Status.PENDING))
            alone = len(left) == 1
            fatal = [row for row in counted if alone and row.deaths >= FATAL_DEATHS]
            return [_fail(connection, row) for row in fatal]

    def _counted(
        self, experiment_id: UUID | str, *conditions: ColumnElement[bool]
    ) -> list[Row[Any]]:
        text = as_id(experiment_id, "an experiment")
        query = select(trials.c.trial_index, trials.c.deaths).where(
            trials.c.experiment_id == text, SUSPECTED, UNFINISHED, *conditions
        )
        with self._storage.reading() as connection:
            found = connection.execute(query.order_by(trials.c.trial_index))
            return all_checked(trials, found)


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


def _got_on(connection: Connection, row: Row[Any]) -> bool:
    """Whether the trial saved a state since it began that it had never saved before."""
    mine = snapshots.c.trial_id == row.id
    began = row.started_at or ""
    new = select(snapshots.c.state).where(mine, snapshots.c.created_at >= began)
    old = select(snapshots.c.state).where(mine, snapshots.c.created_at < began)
    query = select(func.count()).select_from(new.except_(old).subquery())
    return bool(connection.execute(query).scalar_one())


def _fail(connection: Connection, row: Row[Any]) -> str:
    times = f"{row.deaths + 1} times"
    where = "" if row.rank is None else f", on rank {row.rank}, {row.hostname}"
    message = (
        f"the job died {times} while it ran, the last time while nothing else did"
        f"{where}"
    )
    values = {"trial_id": row.id, "message": message, "now": timestamps.now()}
    connection.execute(_FAIL, values)
    return f"trial {row.trial_index} is marked failed: {message}"
