"""The runs table: when, where and how trials were run, and how that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from ..errors import NotFoundError
from ..trial.outcome import Status
from .file import timestamps
from .file.rows import all_checked
from .file.tables import experiments, runs
from .lookup import as_id, named_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy import Connection

    from .file.storage import Storage

_COUNTED = (Status.FINISHED, Status.FAILED, Status.PENDING)
# What may be long, and is for who asks for one run.
_LONG = ("script_text", "sources", "git_diff", "packages")


class Runs:
    """The runs of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def start(self, experiment_id: UUID | str, facts: Mapping[str, Any]) -> int:
        """Record that a run begins; facts that have no column are left out."""
        values = {key: facts[key] for key in facts if key in runs.c}
        values["experiment_id"] = as_id(experiment_id, "an experiment")
        values.setdefault("started_at", timestamps.now())
        with self._storage.transaction() as connection:
            query = insert(runs).values(values).returning(runs.c.id)
            run_id: int = connection.execute(query).scalar_one()
        return run_id

    def finish(self, run_id: int, ended: str, counts: Mapping[str, int]) -> None:
        values: dict[str, Any] = {key: counts.get(key, 0) for key in _COUNTED}
        query = update(runs).where(runs.c.id == run_id)
        values.update(ended=ended, finished_at=timestamps.now())
        with self._storage.transaction() as connection:
            connection.execute(query.values(**values))

    def listed(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the runs of one experiment, or of all, in the order they began.

        Each is a dict of the table's columns, but for the long texts, and the name of
        its ``experiment``.
        """
        shown = [column for column in runs.c if column.name not in _LONG]
        query = select(*shown, experiments.c.name.label("experiment"))
        query = query.join(experiments, experiments.c.id == runs.c.experiment_id)
        with self._storage.reading() as connection:
            if name is not None:
                mine = named_row(self._storage, connection, name)
                query = query.where(runs.c.experiment_id == mine.id)
            found = connection.execute(query.order_by(runs.c.id)).all()
            return _as_dicts(found)

    def get(self, run_id: int) -> dict[str, Any]:
        """Return all that is stored of one run, and the name of its ``experiment``.

        Raises:
            NotFoundError: there is no run of this number.
        """
        query = select(runs, experiments.c.name.label("experiment"))
        query = query.join(experiments, experiments.c.id == runs.c.experiment_id)
        with self._storage.reading() as connection:
            found = connection.execute(query.where(runs.c.id == run_id)).all()
        if not found:
            msg = (
                f"{self._storage.name} has no run {run_id}: 'runs' lists those that "
                "it has"
            )
            raise NotFoundError(msg)
        return _as_dicts(found)[0]


def _as_dicts(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in all_checked(runs, rows)]  # noqa: SLF001


class CopiedRuns:
    """The runs of one experiment, in another database, where they get other numbers."""

    # What two databases say of one run, but for its number in each.
    _KEY = (runs.c.started_at, runs.c.hostname, runs.c.pid)

    def __init__(
        self, source: Storage, connection: Connection, source_id: str, target_id: str
    ) -> None:
        self._source = source
        self._connection = connection
        self._source_id = source_id
        self._target_id = target_id
        self._numbers: dict[int, int | None] = {}

    def number(self, run_id: int | None) -> int | None:
        """Return the run's number in the target; None where it is not there."""
        if run_id is None:
            return None
        if run_id not in self._numbers:  # begun since they were read
            self.add()
        return self._numbers.setdefault(run_id, None)

    def add(self) -> None:
        """Copy the runs that the target lacks."""
        query = select(runs.c.id, *self._KEY).where(
            runs.c.experiment_id == self._target_id
        )
        found = self._connection.execute(query)
        known = {tuple(key): run_id for run_id, *key in found}
        with self._source.reading() as connection:
            theirs = select(runs).where(runs.c.experiment_id == self._source_id)
            rows = all_checked(runs, connection.execute(theirs.order_by(runs.c.id)))
        for row in rows:
            values = {**row._mapping, "experiment_id": self._target_id}  # noqa: SLF001
            run_id = values.pop("id")
            key = tuple(values[column.name] for column in self._KEY)
            if key not in known:
                new = insert(runs).values(values).returning(runs.c.id)
                known[key] = self._connection.execute(new).scalar_one()
            self._numbers[run_id] = known[key]


def end_open_runs(connection: Connection, ended: str) -> None:
    """Say how runs ended that could not say it: for who has the writer's lock now.

    They died where they left the lock behind. Where not, they came to their end and
    could not write it, since the disk was full; which may still be so.
    """
    try:
        is_open = "SELECT 1 FROM runs WHERE ended IS NULL LIMIT 1"
        if connection.exec_driver_sql(is_open).first() is not None:
            change = "UPDATE runs SET ended = ? WHERE ended IS NULL"
            connection.exec_driver_sql(change, (ended,))
    except OperationalError:
        pass
    finally:
        connection.rollback()  # the driver's statements are transactions of their own
